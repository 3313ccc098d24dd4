import os
import pathlib
import shutil
import subprocess
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
    build = pathlib.Path(os.environ["ZORYA_BUILD"])
    check = ["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups", "env", "test", "-r", build / "bin" / "zorya"]
    if subprocess.run(check).returncode != 0:
        pytest.skip("a plain user cannot read the build folder")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="zorya-host-data-"))
    os.chown(folder, 4321, 4321)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
