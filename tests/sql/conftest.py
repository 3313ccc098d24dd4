import pytest


@pytest.fixture
def pair(server):
    """Two sessions of the module's server, and a table `t` of theirs; `u` and `w` may be made beside it."""
    first, second = server.connect("admin"), server.connect("admin")
    first.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
    yield first, second
    for connection in (first, second):
        connection.rollback()
        connection.close()
    with server.connect("admin") as last:
        last.execute("DROP TABLE IF EXISTS t, u, w CASCADE")
