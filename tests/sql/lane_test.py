"""Schema changes beside each other and beside data changes: nobody waits beyond the bound, and what only another
session's change can cause is 40001 (OC001).
"""
import pathlib
import sys
import threading
import time

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.open_change import OpenChange  # noqa: E402
from support.scratch_server import ScratchServer  # noqa: E402
from support.stopwatch import Stopwatch  # noqa: E402

OC001 = "schema has been updated by another transaction (OC001)"
BOUND_MS = 1000  # 40 ms for each of a few locks; tests/isolation reads the waits from the server


@pytest.fixture(scope="module")
def server():
    with ScratchServer(roles=("app",), settings={"lock_timeout": "50ms", "deadlock_timeout": "10ms"}) as started:
        yield started


def outcome(connection, statement) -> tuple[str, str]:
    stopwatch = Stopwatch(connection)
    try:
        connection.execute(statement)
        result = ("", "")
    except psycopg.Error as error:
        result = (error.sqlstate, error.diag.message_primary)
    wall_ms, kept_ms = stopwatch.stop()
    assert wall_ms - kept_ms < BOUND_MS
    return result


@pytest.mark.parametrize("statement", [
    "CREATE TABLE w (id int PRIMARY KEY)", "GRANT SELECT ON t TO app", "CREATE TABLE u (id int PRIMARY KEY)",
    "CREATE INDEX /*a*/ ON t (v)", "DROP TABLE t", "COMMENT ON TABLE t IS 'x'"])
def test_an_open_schema_change_holds_the_lane(pair, statement):
    first, second = pair
    with OpenChange(first, "CREATE TABLE u (id int PRIMARY KEY)"):
        assert outcome(second, statement) == ("40001", OC001)
        assert second.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert outcome(second, statement) == ("", "")


@pytest.mark.parametrize("statement", [
    "CREATE TABLE w (id int PRIMARY KEY)", "GRANT SELECT ON t TO app", "CREATE TABLE u (id int PRIMARY KEY)",
    "CREATE INDEX /*a*/ ON t (v)", "ALTER TABLE t ADD COLUMN w int", "DROP TABLE t", "COMMENT ON TABLE t IS 'x'"])
def test_a_schema_change_in_a_block_holds_nothing(pair, statement):
    """No lane, no lock, no row of the catalogue: whoever stays idle in a block is in nobody's way."""
    first, second = pair
    for change in ("CREATE TABLE u (id int PRIMARY KEY)", "ALTER TABLE t ADD COLUMN w int", "GRANT SELECT ON t TO app"):
        first.execute("BEGIN")
        first.execute(change)
        second.execute("BEGIN")
        assert outcome(second, statement) == ("", "")
        second.execute("ROLLBACK")
        assert outcome(second, "SELECT v FROM t") == ("", "")
        first.execute("ROLLBACK")


def test_the_lane_is_free_after_a_rollback_and_a_lost_session(server, pair):
    first, second = pair
    doomed = server.connect("admin")
    OpenChange(doomed, "CREATE TABLE u (id int PRIMARY KEY)").__enter__()
    doomed.close()
    deadline = time.monotonic() + 5
    while outcome(second, "CREATE TABLE u (id int PRIMARY KEY)")[0] == "40001":
        assert time.monotonic() < deadline
    assert outcome(first, "DROP TABLE u") == ("", "")


def test_an_open_reader_and_alter_do_not_wait_for_each_other(pair):
    first, second = pair
    first.execute("BEGIN; SELECT * FROM t")
    assert outcome(second, "ALTER TABLE t ADD COLUMN w int") == ("40001", OC001)
    first.execute("COMMIT")
    assert outcome(second, "ALTER TABLE t ADD COLUMN w int") == ("", "")


def test_an_open_alter_and_a_reader_do_not_wait_for_each_other(pair):
    """The wait of a query ends as 55P03 here; the session router says OC001."""
    first, second = pair
    with OpenChange(first, "ALTER TABLE t ADD COLUMN w int") as change:
        assert outcome(second, "SELECT * FROM t")[0] == "55P03"
        assert outcome(second, "INSERT INTO t VALUES (1, 1)")[0] == "55P03"
        change.end()
    assert outcome(second, "SELECT * FROM t") == ("", "")


def test_data_changes_do_not_take_the_lane(pair):
    first, second = pair
    with OpenChange(first, "CREATE TABLE u (id int PRIMARY KEY)"):
        assert outcome(second, "INSERT INTO t VALUES (1, 1)") == ("", "")
        assert outcome(second, "SELECT * FROM t") == ("", "")


def test_two_first_users_make_one_table(server, pair):
    """CREATE TABLE IF NOT EXISTS at once from many sessions: each ends well or may retry, and none waits long."""
    sessions = [server.connect("admin") for _ in range(6)]
    results, start = [], threading.Barrier(len(sessions))

    def first_use(connection):
        start.wait()
        for _ in range(50):
            result = outcome(connection, "CREATE TABLE IF NOT EXISTS w (id int PRIMARY KEY)")
            if result[0] != "40001":
                return results.append(result)
            time.sleep(0.01)  # the retry's back-off, not a wait for a race

    threads = [threading.Thread(target=first_use, args=(connection,)) for connection in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [("", "")] * len(sessions)
    assert pair[0].execute("SELECT count(*) FROM pg_class WHERE relname = 'w'").fetchone() == (1,)


def test_what_exists_is_found_without_a_lock(pair):
    first, second = pair
    jobs = []
    second.add_notice_handler(lambda notice: jobs.append(notice.message_primary) if notice.sqlstate == "ZR001" else None)
    assert outcome(second, "CREATE INDEX /*a*/ i ON t (v)") == ("", "")
    assert second.execute(f"CALL sys.wait_for_job('{jobs[0]}')").fetchone() == (True,)
    first.execute("BEGIN; INSERT INTO t VALUES (1, 1)")
    assert outcome(second, "CREATE INDEX /*a*/ other ON t (v)") == ("40001", OC001)
    assert outcome(second, "CREATE INDEX /*a*/ IF NOT EXISTS i ON t (v)") == ("", "")
    assert len(jobs) == 2 and jobs[0] == jobs[1]
    assert second.execute(f"CALL sys.wait_for_job('{jobs[0]}')").fetchone() == (True,)
    first.execute("ROLLBACK")
    with OpenChange(first, "CREATE TABLE u (id int PRIMARY KEY)"):
        assert outcome(second, "CREATE INDEX /*a*/ IF NOT EXISTS i ON t (v)") == ("", "")
        assert outcome(second, "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY)") == ("", "")
        assert outcome(second, "CREATE SCHEMA IF NOT EXISTS public") == ("", "")


def test_grants_on_one_table_never_fail_inside(server, pair):
    """Without the lane this gave `tuple concurrently updated` in every second statement."""
    sessions = [server.connect("admin") for _ in range(2)]
    seen = []

    def grant(connection):
        for _ in range(40):
            seen.append(outcome(connection, "GRANT SELECT ON t TO app"))

    threads = [threading.Thread(target=grant, args=(connection,)) for connection in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == 80
    assert set(seen) <= {("", ""), ("40001", OC001)}


def test_the_lane_and_a_lock_are_one_wait(server, pair):
    """A lane that frees late leaves less for the lock behind it; without that the two waits add up."""
    first, second = pair
    with server.connect("admin") as holder:
        holder.execute("BEGIN; SELECT * FROM t")
        times = []
        for _ in range(5):
            with OpenChange(first, "CREATE TABLE u (id int PRIMARY KEY)") as change:
                release = threading.Timer(0.03, change.end)
                release.start()
                begin = time.monotonic()
                assert outcome(second, "ALTER TABLE t ADD COLUMN w int") == ("40001", OC001)
                times.append(time.monotonic() - begin)
                release.join()
            first.execute("DROP TABLE u")
        assert min(times) < 0.065
        holder.execute("ROLLBACK")


def test_the_bound_of_a_session_is_what_it_was_after_a_schema_change(pair):
    first, second = pair
    assert outcome(second, "CREATE TABLE u (id int PRIMARY KEY)") == ("", "")
    assert second.execute("SHOW lock_timeout").fetchone() == ("50ms",)
    assert outcome(second, "CREATE TABLE u (id int PRIMARY KEY)")[0] == "42P07"
    assert second.execute("SHOW lock_timeout").fetchone() == ("50ms",)


def test_the_lane_that_was_waited_for_is_counted(server, pair):
    first, second = pair
    with server.connect() as owner:
        count = "SELECT lane_waits, waits_at_bound, (SELECT sum(conflicts) FROM sys.conflict_stats() WHERE kind = 'schema')" \
                " FROM sys.commit_stats()"
        before = owner.execute(count).fetchone()
        with OpenChange(first, "CREATE TABLE u (id int PRIMARY KEY)"):
            assert outcome(second, "COMMENT ON TABLE t IS 'x'") == ("40001", OC001)
        assert owner.execute(count).fetchone() == (before[0] + 1, before[1] + 1, before[2] + 1)


def test_a_wait_that_meets_its_bound_is_counted(server, pair):
    first, second = pair
    count = "SELECT waits_at_bound FROM sys.commit_stats"
    before, = second.execute(count).fetchone()
    with OpenChange(first, "ALTER TABLE t ADD COLUMN w int"):
        assert outcome(second, "SELECT * FROM t")[0] == "55P03"  # the session router makes OC001 of it
    assert second.execute(count).fetchone() == (before + 1,)
    second.execute("SELECT count(*) FROM t")
    assert second.execute(count).fetchone() == (before + 1,)


def test_a_shipped_server_bounds_idle_transactions(server):
    assert server.connect("admin").execute("SHOW idle_in_transaction_session_timeout").fetchone() == ("330s",)
