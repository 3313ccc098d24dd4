"""kill -9 of everything that a private database consists of, while writers write: nothing acknowledged is lost.

ZORYA_CRASH_ROUNDS (default 1) repeats each kill; ZORYA_CRASH_COMMITS (default 200) is how much is written between two.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import writers as load  # noqa: E402

from support.private_cluster import ID, OWNER, PrivateClusters, processes_in, scratch_folder  # noqa: E402
from support.waiting import wait_until  # noqa: E402

ROUNDS = int(os.environ.get("ZORYA_CRASH_ROUNDS", "1"))
COMMITS = int(os.environ.get("ZORYA_CRASH_COMMITS", "200"))


@pytest.fixture(scope="module")
def place():
    folder = scratch_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def clusters(place):
    with PrivateClusters(place / "data", owner_door=True) as running:
        owner = running.connect(OWNER)
        owner.execute("DROP TABLE IF EXISTS entries, counters, hot")
        owner.execute(load.SCHEMA)
        yield running


def connector(clusters):
    """Connections that survive the tool's own restart: the socket's place does not change."""
    place = clusters.info()["socket_folder"]

    def connect():
        connection = psycopg.connect(host=place, port=5432, user="admin", dbname="postgres", connect_timeout=10)
        connection.prepare_threshold = None
        return connection
    return connect


def owner_when_up(clusters):
    def attempt():
        try:
            return clusters.connect(OWNER)
        except psycopg.OperationalError:
            return None
    return wait_until(attempt, timeout=60, what="recovery")


def verify(clusters, writers, indexes=5):
    owner = owner_when_up(clusters)
    ours = owner.execute("SELECT count(*) FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.relname IN"
                         " ('entries', 'counters', 'hot') AND a.amname = 'btree-table'").fetchone()
    assert ours == (3,)
    load.check(owner, writers)
    load.check_hot(owner, writers)
    load.check_no_duplicates(owner)
    load.check_heap_agreed(owner)
    assert load.check_indexes(owner) == indexes


def run_with_kills(clusters, kill):
    with load.Writers(connector(clusters)) as writers:
        for _ in range(ROUNDS):
            writers.wait_for_more(COMMITS)
            kill()
            writers.wait_for_more(COMMITS)
    assert not writers.errors, writers.errors[0]
    verify(clusters, writers)
    assert writers.lost_connections > 0  # else nothing was killed under them
    assert sum(writers.conflicts) > 0    # and they did meet


def data_folder(clusters):
    return clusters.folder / "clusters" / ID / "data"


def backends(clusters):
    """Pids of the client sessions' backends."""
    owner = clusters.connect(OWNER)
    rows = owner.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'admin'").fetchall()
    owner.close()
    return [pid for (pid,) in rows]


def test_postmaster(clusters):
    def kill():
        pid = clusters.info()["postmaster_pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: clusters.info()["postmaster_pid"] not in (0, pid), timeout=60, what="the restart")
    run_with_kills(clusters, kill)


def test_backend(clusters):
    run_with_kills(clusters, lambda: os.kill(backends(clusters)[0], signal.SIGKILL))


def test_all_processes_at_once(clusters):
    def kill():
        for pid in processes_in(data_folder(clusters)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    run_with_kills(clusters, kill)


def test_owner_of_the_servers(clusters):
    def kill():
        clusters.kill()
        clusters.start()
    run_with_kills(clusters, kill)


def test_owner_while_the_postmaster_stands_still(clusters):
    def kill():
        os.kill(clusters.info()["postmaster_pid"], signal.SIGSTOP)
        clusters.kill()
        clusters.start()
    run_with_kills(clusters, kill)


def refusal_of_a_full_disk(connect):
    """The error of a statement that needs room, if it comes to that: the server may be ended by its log first."""
    try:
        with connect() as connection:
            connection.execute("INSERT INTO wide VALUES (1, repeat('x', 4000000))")
            connection.rollback()
    except psycopg.errors.DiskFull as error:
        return error
    except psycopg.OperationalError:
        pass
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_a_full_disk(place):
    small = place / "small"
    small.mkdir(mode=0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m,mode=755", "none", small], check=True)
    filler = small / "filler"
    try:
        with PrivateClusters(small / "data", owner_door=True) as clusters:
            owner = clusters.connect(OWNER)
            owner.execute(load.SCHEMA)
            owner.execute("CREATE TABLE wide (id int PRIMARY KEY, v text); ALTER TABLE wide OWNER TO admin;"
                          "ALTER TABLE wide ALTER v SET STORAGE EXTERNAL")
            with load.Writers(connector(clusters)) as writers:
                writers.wait_for_more(COMMITS)
                with open(filler, "wb") as file:
                    try:
                        while True:
                            file.write(bytes(1 << 20))
                            file.flush()
                    except OSError:
                        pass
                refused = wait_until(lambda: refusal_of_a_full_disk(connector(clusters)), timeout=60, what="SQLSTATE 53100")
                assert "No space left on device" in str(refused)
                wait_until(lambda: writers.lost_connections > 8, timeout=60, what="trouble on a full disk")
                filler.unlink()
                wait_until(lambda: clusters.ask(f"ensure {ID}")[0]["postmaster_pid"], timeout=60, what="the restart")
                writers.wait_for_more(COMMITS)
                with connector(clusters)() as connection:  # what was refused can be done now
                    connection.execute("INSERT INTO wide VALUES (1, repeat('x', 4000000))")
            assert not writers.errors, writers.errors[0]
            verify(clusters, writers, indexes=6)
            assert clusters.connect().execute("SELECT count(*), max(length(v)) FROM wide").fetchone() == (1, 4000000)
    finally:
        subprocess.run(["umount", small], check=True)
