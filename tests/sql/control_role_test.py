"""The session router's own role: it sees who holds up a schema change and ends those, and can do nothing else."""
import pathlib
import sys
import threading

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.scratch_server import ScratchServer  # noqa: E402
from support.waiting import wait_until  # noqa: E402


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


def wounds(server) -> dict[str, int]:
    with server.connect() as owner:
        cursor = owner.execute("SELECT * FROM sys.commit_stats")
        return {column.name[7:]: value for column, value in zip(cursor.description, cursor.fetchone())
                if column.name.startswith("wounds_")}


def counted(server, before) -> dict[str, int]:
    return {name: count - before[name] for name, count in wounds(server).items() if count != before[name]}


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
    """The waiter is the owner's: it waits for 10 s, where a schema change would be gone after 40 ms."""
    control, holder, changer = server.connect("zorya_control"), server.connect("admin"), server.connect()
    holder.execute("BEGIN")
    holder.execute("SELECT * FROM t")
    pids = (changer.info.backend_pid, holder.info.backend_pid)
    before = wounds(server)
    for terminates in (False, True):  # nobody waits
        assert control.execute("SELECT sys.end_lock_holder(%s, %s, %s)", (*pids, terminates)).fetchone() == (False,)
    assert counted(server, before) == {}
    change = threading.Thread(target=changer.execute, args=("BEGIN; LOCK TABLE public.t",))
    change.start()
    rows = wait_until(
        lambda: control.execute("SELECT * FROM sys.lock_holders(%s::int[])", ([pids[0]],)).fetchall(), "it waits")
    assert rows == [(*pids, "client backend", "idle in transaction", "ClientRead")]
    # A cancel means nothing to who idles.
    for terminates in (False, True):
        assert control.execute("SELECT sys.end_lock_holder(%s, %s, %s)", (*pids, terminates)).fetchone() == (True,)
    assert counted(server, before) == {"cancelled": 1, "terminated": 1}
    change.join(10)
    assert not change.is_alive() and refusal(holder, "SELECT 1") in ("57P01", None)
    changer.close()


def test_the_router_is_told_of_a_schema_change_and_of_settings(server):
    notices = []
    told = server.connect("admin", options="-c zorya.router_word=zorya_x")
    told.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
    told.execute("CREATE TABLE u (id int PRIMARY KEY)")
    assert notices == ["ZR004", "ZR002", "ZR004"]  # what it had seen, the change, and that it has seen that
    told.execute("SET search_path = public, b")
    assert told.info.parameter_status("search_path") == "public, b"
    told.execute("BEGIN; SELECT set_config('search_path', 'c', true)")
    assert told.info.parameter_status("search_path") == "c"
    told.execute("ROLLBACK")
    assert told.info.parameter_status("search_path") == "public, b"
    assert refusal(told, "SET zorya.router_word = 'zorya_y'") == "0A000"
    told.execute("DROP TABLE u")


def test_no_session_learns_the_word_by_which_the_router_is_known(server):
    session = server.connect("admin", options="-c zorya.router_word=zorya_x")
    for statement in ("SHOW zorya.router_word", "SELECT current_setting('zorya.router_word')"):
        assert refusal(session, statement) in ("0A000", "42501")
    assert "zorya_x" not in str(session.execute("SELECT name, setting, reset_val FROM pg_settings").fetchall())


def test_what_the_router_ends_by_its_word_is_counted(server):
    session, other = server.connect("admin", options="-c zorya.router_word=zorya_x"), server.connect("admin")

    def fail_copy(text):
        with pytest.raises(RuntimeError), session.cursor().copy("COPY t FROM STDIN"):
            raise RuntimeError(text)  # psycopg sends a CopyFail that ends with it

    def fail(connection, text):
        connection.execute("BEGIN")
        assert refusal(connection, text) == "42601"
        connection.execute("ROLLBACK")

    before = wounds(server)
    fail(session, "zorya_x schema")
    fail_copy("zorya_x schema")
    assert counted(server, before) == {"rolled_back": 1, "copy_failed": 1}
    fail(session, "zorya_x age")
    fail_copy("zorya_x age")
    before |= {"rolled_back": before["rolled_back"] + 1, "copy_failed": before["copy_failed"] + 1}
    assert counted(server, before) == {"aged": 2}
    before = wounds(server)
    fail(session, "zorya_x")  # a fresh backend in the place of a lost one is brought to a failed block so
    fail(session, "zorya_y schema")
    fail(other, "zorya_x schema")
    fail_copy("no more")
    assert counted(server, before) == {}


def test_others_are_told_nothing(server):
    notices = []
    other = server.connect("admin")
    other.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
    other.execute("CREATE TABLE u (id int PRIMARY KEY)")
    other.execute("DROP TABLE u")
    assert notices == []
