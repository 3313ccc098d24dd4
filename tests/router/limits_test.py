"""Limits and forced outcomes that only a client of the router sees: a message's length, temporary space, a dropped connection."""
import psycopg
import pytest

from raw_client import RawClient, startup
from support.router import RunningRouter
from support.scratch_server import ScratchServer

BESIDE_OURS = ("temp_file_limit", "work_mem", "max_stack_depth", "lock_timeout", "statement_timeout", "default_toast_compression",
               "idle_in_transaction_session_timeout", "default_transaction_isolation", "default_table_access_method")


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


def refused_at_startup(router, **parameters):
    with RawClient(router.port) as client:
        client.start_tls(router.host)
        client.send(startup(user="admin", database="postgres", **parameters))
        error = client.receive_error()
        return error["S"], error["C"], error["M"]


@pytest.fixture(scope="module")
def shipped_router(server):
    """In front of a server whose limits are the service's."""
    with RunningRouter(server.folder) as running:
        yield running


def test_no_client_moves_a_limit_on_its_way_in_or_by_any_statement(shipped_router):
    client = shipped_router.connect()
    settings = dict(client.execute("select name, setting from pg_settings where name like 'zorya.%%' or name = any(%s)",
                                   (list(BESIDE_OURS),)).fetchall())
    assert len(settings) > 25 and set(BESIDE_OURS) < set(settings)
    for name, value in settings.items():
        other = str(int(value) + 1) if value.lstrip("-").isdigit() else "on"
        refused = "FATAL", "0A000", f'setting configuration parameter "{name}" not supported'
        for parameters in ({"options": f"-c {name}={other}"}, {"options": f"--{name}={other}"}, {name: other}):
            assert refused_at_startup(shipped_router, **parameters) == refused, parameters
        for statement in (f"set {name} = {other}", f"select set_config('{name}', '{other}', false)",
                          f"alter role admin set {name} = {other}", f"alter role all set {name} = {other}",
                          f"alter database postgres set {name} = {other}", f"alter system set {name} = {other}",
                          f"with x as (select set_config('{name}', '{other}', true)) select * from x",
                          f"create function f() returns int language sql set {name} = {other} as 'select 1'"):
            with pytest.raises(psycopg.errors.FeatureNotSupported):
                client.execute(statement)
    client.execute("reset all")
    for session in (client, shipped_router.connect()):
        now = dict(session.execute("select name, setting from pg_settings").fetchall())
        assert {name: now[name] for name in settings} == settings
