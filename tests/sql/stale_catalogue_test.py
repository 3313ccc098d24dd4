"""A session is told once, 40001 (OC001), that the catalogue it works with has changed: at its next statement, whatever that
is, if the change touches something that the statement or the session uses. What is merely new is no change.
"""
import pathlib
import sys

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.scratch_server import ScratchServer  # noqa: E402

OC001 = ("40001", "schema has been updated by another transaction (OC001)")
DONE = ("", "")
SETTINGS = {"lock_timeout": "50ms", "deadlock_timeout": "10ms"}


@pytest.fixture(scope="module")
def server():
    with ScratchServer(roles=("app",), settings=SETTINGS) as started:
        yield started


class Sessions:
    """`one` uses tables t and v (a view of it) and is idle; `other` changes the schema."""

    def __init__(self, server):
        self.server = server
        self.other = server.connect("admin")
        self.other.execute("CREATE TABLE t (id int PRIMARY KEY, n int, s text)")
        self.other.execute("CREATE TABLE apart (id int PRIMARY KEY, n int)")
        self.other.execute("CREATE VIEW v AS SELECT id, n FROM t")
        self.other.execute("CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1")
        self.other.execute("CREATE DOMAIN d AS int")
        self.other.execute("CREATE SCHEMA extra")
        self.one = self.user("t", "v")

    def user(self, *tables, role="admin"):
        connection = self.server.connect(role)
        for table in tables:
            connection.execute(f"SELECT * FROM {table}")
        return connection


@pytest.fixture
def sessions(server):
    made = Sessions(server)
    yield made
    for connection in server.connections:
        connection.close()
    server.connections.clear()
    with server.connect() as owner:
        owner.execute("SET client_min_messages = error; DROP SCHEMA public CASCADE; DROP SCHEMA IF EXISTS extra CASCADE;"
                      "DROP SCHEMA IF EXISTS renamed CASCADE; CREATE SCHEMA public AUTHORIZATION admin;"
                      "ALTER DEFAULT PRIVILEGES FOR ROLE admin REVOKE SELECT ON TABLES FROM app")


def outcome(connection, statement, **options) -> tuple[str, str]:
    try:
        cursor = connection.cursor()
        if statement.startswith("COPY"):
            with cursor.copy(statement) as copy:
                if "TO" in statement:
                    list(copy)
        else:
            cursor.execute(statement, **options)
        return DONE
    except psycopg.Error as error:
        return error.sqlstate, error.diag.message_primary


TOLD = ["ALTER TABLE t ADD COLUMN w int", "ALTER TABLE t DROP COLUMN s", "ALTER TABLE t ALTER COLUMN n SET DEFAULT 5",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0) NOT VALID", "ALTER TABLE t RENAME COLUMN s TO x",
        "GRANT SELECT ON t TO app", "GRANT SELECT (n) ON t TO app", "REVOKE SELECT ON t FROM app",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO app", "CREATE STATISTICS st ON id, n FROM t",
        "CREATE OR REPLACE VIEW v AS SELECT id, n, s FROM t", "GRANT SELECT ON v TO app", "DROP VIEW v",
        "CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES t)",  # its parent gets triggers
        "GRANT USAGE ON SCHEMA extra TO app", "ALTER SCHEMA extra RENAME TO renamed", "DROP SCHEMA extra",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql RETURN 2", "DROP FUNCTION f()",
        "GRANT EXECUTE ON FUNCTION f() TO app", "DROP DOMAIN d", "ALTER DOMAIN d SET DEFAULT 1"]
ABSORBED = ["CREATE TABLE u (id int PRIMARY KEY)", "CREATE VIEW w AS SELECT * FROM t", "CREATE SEQUENCE q CACHE 1",
            "CREATE SCHEMA fresh", "CREATE DOMAIN e AS int", "CREATE FUNCTION g() RETURNS int LANGUAGE sql RETURN 1",
            "COMMENT ON TABLE t IS 'x'", "COMMENT ON COLUMN t.n IS 'x'", "CREATE INDEX /*a*/ i ON t (n)",
            "CREATE UNIQUE INDEX /*a*/ i ON t (n)", "CREATE TABLE IF NOT EXISTS t (id int)",
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app", "ALTER TABLE apart ADD COLUMN w int",
            "GRANT SELECT ON apart TO app", "DROP TABLE apart", "DROP TABLE IF EXISTS absent"]
STATEMENTS = ["SELECT * FROM t", "SELECT n FROM v", "SELECT 1", "INSERT INTO t (id) VALUES (1)", "UPDATE t SET n = 1",
              "DELETE FROM t", "SELECT * FROM t FOR UPDATE", "WITH x AS (UPDATE t SET n = 1 RETURNING id) SELECT * FROM x",
              "INSERT INTO t (id) VALUES (1) ON CONFLICT DO NOTHING", "EXPLAIN SELECT * FROM t",
              "EXPLAIN ANALYZE SELECT * FROM t", "COPY t TO STDOUT", "COPY (SELECT * FROM t) TO STDOUT", "COPY t FROM STDIN",
              "SELECT relname FROM pg_class LIMIT 1", "CREATE TABLE another (id int PRIMARY KEY)", "ANALYZE t",
              "ALTER TABLE t ADD COLUMN late int", "CREATE INDEX /*a*/ late ON t (n)", "GRANT INSERT ON t TO app"]


@pytest.mark.parametrize("change", TOLD)
def test_a_change_is_told_once(sessions, change):
    sessions.other.execute(change)
    assert outcome(sessions.one, "SELECT count(*) FROM t") == OC001
    assert outcome(sessions.one, "SELECT count(*) FROM t") == DONE
    assert outcome(sessions.other, "SELECT count(*) FROM t") == DONE  # to the one who made it, never


@pytest.mark.parametrize("change", ABSORBED)
def test_what_is_new_or_apart_is_passed_over(sessions, change):
    sessions.other.execute(change)
    for statement in ("SELECT count(*) FROM t", "SELECT count(*) FROM v", "INSERT INTO t VALUES (1, 1)"):
        assert outcome(sessions.one, statement) == DONE


FUNCTIONS = {"reads": "SELECT count(*) FROM t", "writes": "INSERT INTO t (id) VALUES (50); SELECT count(*) FROM t",
             "calls": "SELECT reads() + 1 FROM generate_series(1, 2) LIMIT 1"}


@pytest.fixture
def caller(sessions):
    """A session that has used `t` through nothing yet, and functions that use it."""
    for name, body in FUNCTIONS.items():
        sessions.other.execute(f"CREATE FUNCTION {name}() RETURNS bigint LANGUAGE sql AS '{body}'")
    connection = sessions.user()
    connection.execute("SELECT 1")
    return connection


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_told_of_what_it_uses(sessions, caller, function):
    for block in (False, True):
        if block:
            caller.execute("BEGIN")
            caller.execute("SELECT 1")
        sessions.other.execute("GRANT SELECT ON t TO app")  # takes no lock
        assert outcome(caller, f"SELECT {function}()") == OC001
        caller.execute("ROLLBACK")
        assert outcome(caller, f"SELECT {function}()") == DONE
        caller.execute("DELETE FROM t")
        sessions.other.execute("SELECT 1")


def test_what_was_used_by_a_function_is_used(sessions, caller):
    caller.execute("SELECT reads()")
    sessions.other.execute("GRANT SELECT ON t TO app")
    assert outcome(caller, "SELECT 1") == OC001
    assert outcome(caller, "SELECT reads()") == DONE


def test_a_function_is_told_before_its_true_error(sessions, caller):
    sessions.other.execute("ALTER TABLE t RENAME COLUMN id TO key")
    assert outcome(caller, "SELECT writes()") == OC001
    assert outcome(caller, "SELECT writes()")[0] == "42703"
    sessions.other.execute("DROP TABLE t CASCADE")
    assert outcome(caller, "SELECT reads()") == OC001
    assert outcome(caller, "SELECT reads()")[0] == "42P01"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_table_newer_than_the_snapshot_is_absent_to_functions_too(sessions, caller, function):
    """As at top level: PostgreSQL's catalogue would show it, empty."""
    sessions.other.execute("DROP TABLE t CASCADE")
    caller.execute("BEGIN")
    caller.execute("SELECT 1")
    sessions.other.execute("CREATE TABLE t (id int PRIMARY KEY, n int, s text)")
    sessions.other.execute("INSERT INTO t VALUES (1, 1, 'x')")
    absent = ("42P01", 'relation "t" does not exist')
    caller.execute("SELECT 1")  # it knows by now that there is something new
    assert outcome(caller, f"SELECT {function}()") == absent
    caller.execute("ROLLBACK")
    assert outcome(caller, f"SELECT {function}()") == DONE


@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "prepared"])
@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_statement_tells(sessions, statement, prepare):
    sessions.one.execute("SELECT 1", prepare=prepare)
    sessions.other.execute("ALTER TABLE t ADD COLUMN w int")
    assert outcome(sessions.one, statement, **({} if statement.startswith("COPY") else {"prepare": prepare})) == OC001
    assert sessions.one.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert outcome(sessions.one, statement) == DONE


@pytest.mark.parametrize("statement", ["BEGIN", "ROLLBACK", "SET search_path = public", "SHOW search_path", "COMMIT"])
def test_what_uses_no_catalogue_does_not_tell(sessions, statement):
    sessions.other.execute("ALTER TABLE t ADD COLUMN w int")
    assert outcome(sessions.one, statement) == DONE
    sessions.one.execute("ROLLBACK")
    assert outcome(sessions.one, "SELECT 1") == OC001


def test_in_a_block_the_next_statement_or_commit_tells(sessions):
    for begin in ("BEGIN", "BEGIN READ ONLY"):
        sessions.other.execute("GRANT SELECT ON t TO app")  # takes no lock that a reader's would meet
        sessions.one.execute(begin)
        assert outcome(sessions.one, "SELECT * FROM t") == OC001
        assert outcome(sessions.one, "SELECT 1")[0] == "25P02"
        sessions.one.execute("ROLLBACK")
        for last in ("SELECT 1", "COMMIT"):
            sessions.one.execute(begin)
            sessions.one.execute("SELECT * FROM t")
            sessions.other.execute("GRANT SELECT ON t TO app")
            assert outcome(sessions.one, last) == OC001
            sessions.one.execute("ROLLBACK")
            assert sessions.one.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            assert outcome(sessions.one, "SELECT * FROM t") == DONE


@pytest.mark.parametrize("statement,told", [("INSERT INTO t VALUES (1, 1)", True), ("SELECT * FROM t", False)])
def test_a_writer_outside_of_a_block_is_told_by_the_verdict(sessions, statement, told):
    """Its statement is done and its COMMIT, the Sync, still to come; a reader has nothing to commit."""
    pgconn = sessions.one.pgconn
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(statement.encode(), None)
    pgconn.send_flush_request()
    while pgconn.flush():
        pass
    assert pgconn.get_result().error_message == b"" and pgconn.get_result() is None
    sessions.other.execute("GRANT INSERT ON t TO app")
    pgconn.pipeline_sync()
    while pgconn.flush():
        pass
    states = []
    while not states or states[-1] != psycopg.pq.ExecStatus.PIPELINE_SYNC:
        result = pgconn.get_result()
        if result is not None:
            states.append(result.status)
            if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
                assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"40001"
    pgconn.exit_pipeline_mode()
    assert (psycopg.pq.ExecStatus.FATAL_ERROR in states) == told
    assert sessions.other.execute("SELECT count(*) FROM t").fetchone() == (0,)
    assert outcome(sessions.one, "SELECT * FROM t") == (DONE if told else OC001)


def test_an_empty_block_has_used_nothing(sessions):
    sessions.one.execute("BEGIN")
    sessions.other.execute("GRANT SELECT ON t TO app")
    assert outcome(sessions.one, "COMMIT") == DONE


def test_a_rollback_needs_no_telling(sessions):
    sessions.one.execute("BEGIN")
    sessions.one.execute("SELECT * FROM t")
    sessions.other.execute("GRANT SELECT ON t TO app")
    assert outcome(sessions.one, "ROLLBACK") == DONE
    assert outcome(sessions.one, "SELECT * FROM t") == OC001


def test_a_session_that_has_not_looked_yet_is_up_to_date(sessions):
    late = sessions.server.connect("admin")
    sessions.other.execute("ALTER TABLE t ADD COLUMN w int")
    assert outcome(late, "SELECT w FROM t") == DONE


def test_a_session_that_uses_no_table_has_nothing_to_be_told(sessions):
    """So with health checks of pools, and the session router's own connection."""
    idle = sessions.server.connect("admin")
    idle.execute("SELECT 1")
    for change in ("ALTER TABLE t ADD COLUMN w int", "GRANT USAGE ON SCHEMA extra TO app", "DROP FUNCTION f()"):
        sessions.other.execute(change)
        assert outcome(idle, "SELECT 1") == DONE
    assert outcome(sessions.one, "SELECT 1") == OC001


def test_a_change_of_what_the_statement_touches_first_now_is_told(sessions):
    sessions.other.execute("ALTER TABLE apart ADD COLUMN w int")
    assert outcome(sessions.one, "SELECT w FROM apart") == OC001
    assert outcome(sessions.one, "SELECT w FROM apart") == DONE


def test_errors_of_names_come_after_the_telling(sessions):
    """The error is raised before any hook; it is OC001 once, and then the true one."""
    for change, statement, state in (
            ("ALTER TABLE t RENAME COLUMN s TO x", "SELECT s FROM t", "42703"), ("DROP VIEW v", "SELECT * FROM v", "42P01"),
            ("DROP FUNCTION f()", "SELECT f()", "42883"), ("DROP SCHEMA extra", "SELECT * FROM extra.t", "42P01"),
            ("DROP DOMAIN d", "SELECT 1::d", "42704"), ("ALTER TABLE t RENAME TO renamed", "UPDATE t SET n = 1", "42P01"),
            ("DROP TABLE renamed", "DROP TABLE renamed", "42P01")):
        sessions.other.execute(change)
        assert outcome(sessions.one, statement) == OC001, change
        assert outcome(sessions.one, statement)[0] == state, change


def test_errors_of_what_names_stand_for_come_after_it_too(sessions):
    for sql in ("CREATE TABLE i (id bigint GENERATED BY DEFAULT AS IDENTITY (CACHE 1) PRIMARY KEY, n int UNIQUE)",
                "CREATE FUNCTION g(int) RETURNS int LANGUAGE sql RETURN 1", "CREATE TABLE r (id int PRIMARY KEY)"):
        sessions.other.execute(sql)
    one = sessions.user("i", "r", "apart")
    for changes, statement, state in (
            (["ALTER TABLE i ALTER COLUMN id SET GENERATED ALWAYS"], "INSERT INTO i (id) VALUES (1)", "428C9"),
            (["ALTER TABLE i DROP CONSTRAINT i_n_key"], "INSERT INTO i (n) VALUES (1) ON CONFLICT (n) DO NOTHING", "42P10"),
            (["ALTER TABLE i ADD COLUMN w int", "ALTER TABLE r ADD COLUMN w int"], "SELECT w FROM i, r", "42702"),
            (["ALTER TABLE apart DROP COLUMN n"], "INSERT INTO apart VALUES (1, 1)", "42601"),
            (["DROP TABLE r", "CREATE SEQUENCE r CACHE 1"], "DROP TABLE r", "42809"),
            (["DROP SEQUENCE r", "CREATE TABLE x (id int CONSTRAINT r PRIMARY KEY)"], "SELECT * FROM r", "42809")):
        for change in changes:
            sessions.other.execute(change)
        assert outcome(one, statement) == OC001, changes
        assert outcome(one, statement)[0] == state, changes


def test_errors_that_have_nothing_to_do_with_names_stay(sessions):
    sessions.other.execute("ALTER TABLE t ADD COLUMN w int")
    assert outcome(sessions.one, "SELEC 1")[0] == "42601"
    assert outcome(sessions.one, "LISTEN x")[0] == "0A000"
    assert outcome(sessions.one, "SELECT * FROM absent") == OC001
    assert outcome(sessions.one, "SELECT * FROM absent")[0] == "42P01"
    sessions.other.execute("CREATE TABLE u (id int PRIMARY KEY)")  # what is new makes no name wrong
    assert outcome(sessions.one, "SELECT * FROM absent")[0] == "42P01"


def test_a_notice_is_never_turned_into_the_error(sessions):
    notices = []
    sessions.one.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
    sessions.other.execute("ALTER TABLE apart ADD COLUMN w int")
    assert outcome(sessions.one, "CREATE SCHEMA IF NOT EXISTS public") == DONE
    assert notices == ["42P06"]


@pytest.mark.parametrize("columns", ["*", "id, n"])
def test_a_prepared_statement_over_a_change(sessions, columns):
    """Of a plan whose columns changed PostgreSQL itself would have said 0A000."""
    prepared = f"SELECT {columns} FROM t"
    pgconn = sessions.one.pgconn
    assert pgconn.prepare(b"p", prepared.encode()).status == psycopg.pq.ExecStatus.COMMAND_OK
    assert pgconn.exec_prepared(b"p", []).status == psycopg.pq.ExecStatus.TUPLES_OK
    sessions.other.execute("ALTER TABLE t ADD COLUMN w int")
    failed = pgconn.exec_prepared(b"p", [])
    assert failed.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"40001"
    assert b"(OC001)" in failed.error_field(psycopg.pq.DiagnosticField.MESSAGE_PRIMARY)
    again = pgconn.exec_prepared(b"p", [])
    if columns == "*":
        assert again.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"0A000"
    else:
        assert again.status == psycopg.pq.ExecStatus.TUPLES_OK


def test_a_grant_is_told_and_then_holds(sessions):
    with sessions.server.connect() as owner:
        owner.execute("GRANT USAGE ON SCHEMA public TO app")
    app = sessions.server.connect("app")
    assert outcome(app, "SELECT * FROM t")[0] == "42501"
    sessions.other.execute("GRANT SELECT ON t TO app")
    assert outcome(app, "SELECT * FROM t") == OC001
    assert outcome(app, "SELECT * FROM t") == DONE
    sessions.other.execute("REVOKE SELECT ON t FROM app")
    assert outcome(app, "SELECT * FROM t") == OC001
    assert outcome(app, "SELECT * FROM t")[0] == "42501"


def test_a_table_that_is_newer_than_the_snapshot_is_absent(sessions):
    one, other = sessions.one, sessions.other
    for use in ("SELECT * FROM u", "INSERT INTO u VALUES (9)", "COPY u TO STDOUT", "EXPLAIN SELECT * FROM u",
                "SELECT 1 WHERE EXISTS (SELECT FROM u)"):
        one.execute("BEGIN")
        one.execute("SELECT * FROM t")
        other.execute("CREATE TABLE u (id int PRIMARY KEY)")
        other.execute("INSERT INTO u VALUES (1)")
        assert outcome(one, "SELECT * FROM t") == DONE
        assert outcome(one, use) == ("42P01", 'relation "u" does not exist'), use
        one.execute("ROLLBACK")
        assert one.execute("SELECT * FROM u").fetchall() == [(1,)]
        other.execute("DROP TABLE u")
        assert outcome(one, "SELECT 1") == OC001


def test_a_table_of_a_block_is_new_from_its_commit_on(sessions):
    one, other = sessions.one, sessions.other
    other.execute("BEGIN")
    other.execute("CREATE TABLE u (id int PRIMARY KEY)")
    one.execute("BEGIN")
    one.execute("SELECT * FROM t")
    other.execute("COMMIT")
    assert outcome(one, "SELECT * FROM u")[0] == "42P01"
    one.execute("ROLLBACK")
    assert outcome(one, "SELECT * FROM u") == DONE


def test_who_was_told_by_a_lock_is_not_told_again(sessions):
    """The router says OC001 for the wait that ended; the retry after the change must succeed."""
    from support.open_change import OpenChange
    with OpenChange(sessions.other, "ALTER TABLE t ADD COLUMN w int") as change:
        assert outcome(sessions.one, "SELECT * FROM t")[0] == "55P03"
        change.end()
    assert outcome(sessions.one, "SELECT w FROM t") == DONE
    with OpenChange(sessions.other, "ALTER TABLE t ADD COLUMN x int") as change:
        assert outcome(sessions.one, "COMMENT ON TABLE t IS 'x'") == OC001
        change.end()
    assert outcome(sessions.one, "COMMENT ON TABLE t IS 'x'") == DONE


def test_new_indexes_can_be_made_to_count(server):
    with ScratchServer(settings=SETTINGS | {"zorya.index_changes_conflict": "on"}) as strict:
        one, other = strict.connect("admin"), strict.connect("admin")
        other.execute("CREATE TABLE t (id int PRIMARY KEY, n int)")
        one.execute("SELECT * FROM t")
        other.execute("CREATE INDEX /*a*/ i ON t (n)")
        assert outcome(other, "SELECT * FROM t") == DONE
        assert outcome(one, "SELECT * FROM t") == OC001
        assert outcome(one, "SELECT * FROM t") == DONE


def test_it_is_counted(sessions):
    with sessions.server.connect() as owner:
        count = "SELECT coalesce(sum(conflicts), 0) FROM sys.conflict_stats() WHERE kind = 'schema'"
        before = owner.execute(count).fetchone()[0]
        for statement in ("SELECT 1", "SELECT * FROM absent"):
            sessions.other.execute("GRANT SELECT ON t TO app")
            assert outcome(sessions.one, statement) == OC001
        assert owner.execute(count).fetchone()[0] == before + 2


def test_a_restart_begins_at_a_higher_version(server):
    """Sessions do not survive it; what they would hand over would be older than anything of the new start."""
    with ScratchServer(settings=SETTINGS) as own:
        one = own.connect("admin")
        one.execute("CREATE TABLE t (id int PRIMARY KEY)")
        own.stop("kill")
        own.start()
        one, other = own.connect("admin"), own.connect("admin")
        assert outcome(one, "SELECT * FROM t") == DONE
        other.execute("ALTER TABLE t ADD COLUMN n int")
        assert outcome(one, "SELECT * FROM t") == OC001
        assert outcome(one, "SELECT * FROM t") == DONE
