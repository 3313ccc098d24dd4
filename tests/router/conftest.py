import pytest

from support.scratch_server import ScratchServer


@pytest.fixture(scope="session")
def server():
    with ScratchServer() as running:
        yield running
