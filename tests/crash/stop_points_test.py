"""A backend dies at named places of its COMMIT: before PostgreSQL has committed nothing of the transaction is there, after it
everything, and the indexes agree with the heap each time.

The places are in the module that is built with planted faults (query_processor/plant.h); the shipped one has none.
"""
import pathlib
import sys

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import writers as load  # noqa: E402

from support.waiting import wait_until  # noqa: E402
from support.scratch_server import ScratchServer  # noqa: E402

BEFORE = ["stop_before_verdict", "stop_within_decision", "stop_after_verdict", "stop_within_apply", "stop_after_apply"]
AFTER = ["stop_after_commit"]


@pytest.fixture(scope="module")
def server():
    with ScratchServer(fsync=True, settings={"recovery_init_sync_method": "syncfs"}, plant="") as running:
        with running.connect() as owner:
            owner.execute("CREATE TABLE t (id int PRIMARY KEY, tag int NOT NULL, v text, big text)")
            owner.execute("CREATE INDEX ON t (tag)")
            owner.execute("CREATE UNIQUE INDEX ON t (v)")
            owner.execute("ALTER TABLE t OWNER TO admin")
        yield running


def restart(server, stop_at):
    server.stop()
    server.plant = stop_at
    server.start()


def rows(connection):
    return connection.execute("SELECT id, tag, v, md5(big) FROM t ORDER BY id").fetchall()


def change(connection):
    """Updates that move index entries and one that does not, a value that goes to TOAST, a delete, an insert."""
    connection.execute("UPDATE t SET tag = tag + 100 WHERE id IN (1, 2)")
    connection.execute("UPDATE t SET v = 'w3', big = (SELECT string_agg(md5(g::text), '') FROM generate_series(1, 1000) g) WHERE id = 3")
    connection.execute("UPDATE t SET tag = tag WHERE id = 4")
    connection.execute("DELETE FROM t WHERE id = 5")
    connection.execute("INSERT INTO t VALUES (11, 11, 'v11')")


@pytest.mark.parametrize("stop_at", BEFORE + AFTER)
def test_a_commit_that_dies_is_whole_or_not_at_all(server, stop_at):
    restart(server, "")
    with server.connect("admin") as connection:
        connection.execute("DELETE FROM t")
        connection.execute("INSERT INTO t SELECT g, g, 'v' || g FROM generate_series(1, 10) g")
        before = rows(connection)

    restart(server, stop_at)
    victim = server.connect("admin", autocommit=False)
    bystander = server.connect("admin", autocommit=False)
    assert rows(bystander) == before
    change(victim)
    after = rows(victim)
    assert after != before
    with pytest.raises(psycopg.OperationalError):
        victim.commit()

    def bystander_ended():
        try:
            rows(bystander)
            return False
        except psycopg.OperationalError:
            return True  # its server's memory is gone: a lost session, never a wrong answer
    # Before it the crash may not have been noticed, and a new session would end with the old ones.
    wait_until(bystander_ended, timeout=60, what="the end of the other session")

    def recovered():
        try:
            return server.connect()
        except psycopg.OperationalError:
            return None
    owner = wait_until(recovered, timeout=60, what="recovery")
    assert rows(owner) == (after if stop_at in AFTER else before)
    assert load.check_indexes(owner) == 3

    # Nothing of the dead transaction stands in the way of the next ones.
    restart(server, "")
    with server.connect("admin", autocommit=False) as connection:
        connection.execute("UPDATE t SET tag = tag + 1000")
        connection.execute("DELETE FROM t WHERE id = 1")
        connection.commit()
    owner = server.connect()
    assert load.check_indexes(owner) == 3
    load.check_heap_agreed(owner)
