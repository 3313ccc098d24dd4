import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from support import plain_user  # noqa: E402


@pytest.fixture(scope="session")
def data():
    """One data folder for all tests: the runtime's packages are installed once."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="zorya-host-data-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def plain_users_place():
    """A folder that a plain user reaches, for what it runs."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="zorya-host-user-"))
    yield plain_user.open_to_all(folder)
    shutil.rmtree(folder, ignore_errors=True)
