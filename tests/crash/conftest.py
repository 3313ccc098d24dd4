import shutil
import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.private_cluster import scratch_folder  # noqa: E402


@pytest.fixture
def place():
    """A folder that the servers' user can use, gone at the end."""
    folder = scratch_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
