"""The session router's own role: it sees who holds up a schema change and ends those, and can do nothing else."""
import pathlib
import sys
import threading

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.scratch_server import ScratchServer  # noqa: E402


@pytest.fixture(scope="module")
def server():
    with ScratchServer(settings={"lock_timeout": "10s"}) as started:
        with started.connect("admin") as admin:
            admin.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
        yield started


def refusal(connection, statement) -> str:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement)
    return caught.value.sqlstate


def test_it_is_an_ordinary_role_with_two_functions(server):
    control = server.connect("zorya_control")
    assert control.execute("SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles"
                           " WHERE rolname = current_user").fetchone() == (False,) * 5
    for statement in ("SELECT * FROM public.t", "CREATE TABLE public.u (id int PRIMARY KEY)", "CREATE SCHEMA s",
                      "SELECT pg_catalog.pg_terminate_backend(1)", "SELECT * FROM pg_catalog.pg_locks", "SET ROLE admin"):
        assert refusal(control, statement) == "42501", statement


@pytest.mark.parametrize("statement", ["SELECT * FROM sys.lock_holders('{1}')", "SELECT sys.end_lock_holder(1, 1, true)"])
def test_nobody_else_may_call_them(server, statement):
    assert refusal(server.connect("admin"), statement) == "42501"


def test_it_finds_and_ends_who_holds_up_a_schema_change(server):
    control, holder, changer = server.connect("zorya_control"), server.connect("admin"), server.connect("admin")
    holder.execute("BEGIN")
    holder.execute("SELECT * FROM t")
    pids = (changer.info.backend_pid, holder.info.backend_pid)
    assert control.execute("SELECT sys.end_lock_holder(%s, %s, true)", pids).fetchone() == (False,)  # nobody waits
    change = threading.Thread(target=changer.execute, args=("ALTER TABLE t ADD COLUMN w int",))
    change.start()
    rows = []
    while not rows:
        rows = control.execute("SELECT * FROM sys.lock_holders(%s::int[])", ([pids[0]],)).fetchall()
    assert rows == [(*pids, "client backend", "idle in transaction", "ClientRead")]
    assert control.execute("SELECT sys.end_lock_holder(%s, %s, true)", pids).fetchone() == (True,)
    change.join(10)
    assert not change.is_alive() and refusal(holder, "SELECT 1") in ("57P01", None)


def test_the_router_is_told_of_a_schema_change_and_of_settings(server):
    notices = []
    told = server.connect("admin", options="-c zorya.router_listens=on")
    told.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
    told.execute("CREATE TABLE u (id int PRIMARY KEY)")
    assert notices == ["ZR002"]
    told.execute("SET search_path = public, b")
    assert told.info.parameter_status("search_path") == "public, b"
    told.execute("BEGIN; SELECT set_config('search_path', 'c', true)")
    assert told.info.parameter_status("search_path") == "c"
    told.execute("ROLLBACK")
    assert told.info.parameter_status("search_path") == "public, b"
    assert refusal(told, "SET zorya.router_listens = off") == "0A000"
    told.execute("DROP TABLE u")


def test_others_are_told_nothing(server):
    notices = []
    other = server.connect("admin")
    other.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
    other.execute("CREATE TABLE u (id int PRIMARY KEY)")
    other.execute("DROP TABLE u")
    assert notices == []
