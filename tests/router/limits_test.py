"""Limits and forced outcomes that only a client of the router sees: a message's length, temporary space, a dropped connection."""
import psycopg
import pytest

from support.router import RunningRouter
from support.scratch_server import ScratchServer


@pytest.fixture(scope="module")
def router():
    settings = {"zorya.forced_outcomes": "on", "temp_file_limit": "64kB", "work_mem": "64kB"}
    with ScratchServer(settings=settings) as server, RunningRouter(server.folder, message_bytes_max=10_000) as running:
        with running.connect() as admin:
            admin.execute("create table t(id int primary key, v int)")
            admin.execute("insert into t values (1, 0)")
        yield running


def test_a_message_above_the_bound_ends_the_session(router):
    client = router.connect()
    client.execute("select 1 /*" + "x" * 9_900 + "*/")
    with pytest.raises(psycopg.Error) as caught:
        client.execute("select 1 /*" + "x" * 10_000 + "*/")
    assert (caught.value.sqlstate, caught.value.diag.message_primary) == ("08P01", "invalid message length")
    assert client.broken


def test_temporary_space_is_told_with_its_limit(router):
    client = router.connect()
    with pytest.raises(psycopg.Error) as caught:
        client.execute("select g from generate_series(1, 100000) g order by random()")
    assert (caught.value.sqlstate, caught.value.diag.message_primary) == \
        ("54000", "query requires more than allowed temp space of 64 KB to execute")
    assert client.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("point, is_committed", [("before_verdict", False), ("after_apply", False), ("after_flush", True)])
def test_a_dropped_connection_ends_without_a_word(router, point, is_committed):
    with router.connect() as admin:
        admin.execute("update t set v = 0")
        admin.execute("select zorya.drop_connections(%s, 't')", (point,))
        with pytest.raises(psycopg.OperationalError) as caught, router.connect() as victim:
            victim.execute("update t set v = 1")
        assert caught.value.sqlstate is None
        assert "closed" in str(caught.value) and "unexpectedly" in str(caught.value)
        assert admin.execute("select v from t").fetchone() == (int(is_committed),)
        assert admin.execute("select sum(fired) from zorya.forced_outcomes()").fetchone()[0] >= 1


def test_a_router_reports_a_forced_conflict_as_any_other(router):
    with router.connect() as admin:
        admin.execute("select zorya.fail_commits('OC000', 't')")
        with pytest.raises(psycopg.errors.SerializationFailure, match="OC000"):
            admin.execute("update t set v = 1")
