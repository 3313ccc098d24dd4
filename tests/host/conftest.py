import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture(scope="session")
def data():
    """One data folder for all tests: the runtime's packages are installed once."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="zorya-host-data-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def user_data(data):
    """The same for a plain user, who needs root to be become."""
    if os.geteuid() != 0:
        pytest.skip("the tests run as a plain user already")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="zorya-host-data-"))
    os.chown(folder, 4321, 4321)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
