import pytest

from support.router import RunningRouter
from support.scratch_server import ScratchServer


@pytest.fixture(scope="session")
def server():
    with ScratchServer() as running:
        yield running


@pytest.fixture(scope="module")
def router(server):
    with RunningRouter(server.folder) as running:
        yield running
