"""SQL must not reach the server's files, processes, other sessions or settings: a table of attempts, each run as admin
and as a plain role. An attempt passes only if it is refused by one of the codes it names; that it does nothing is
checked where there is something to see.
"""
import pathlib
import sys

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.jobs import job, submit, wait_for_job  # noqa: E402
from support.scratch_server import ScratchServer  # noqa: E402

DENIED = "42501"
UNSUPPORTED = "0A000"
ABSENT = ("42883", "42P01", "42704", "3F000")
# Releases of PostgreSQL 15 differ in which check comes first.
ABSENT_OR_UNSUPPORTED = (*ABSENT, UNSUPPORTED)

FILES = [
    ("SELECT pg_read_file('/etc/passwd')", DENIED),
    ("SELECT pg_read_file('PG_VERSION')", DENIED),
    ("SELECT pg_read_file('PG_VERSION', 0, 10, true)", DENIED),
    ("SELECT pg_read_binary_file('/etc/shadow')", DENIED),
    ("SELECT pg_ls_dir('.')", DENIED),
    ("SELECT pg_ls_logdir()", DENIED),
    ("SELECT pg_ls_waldir()", DENIED),
    ("SELECT pg_ls_tmpdir()", DENIED),
    ("SELECT pg_ls_archive_statusdir()", DENIED),
    ("SELECT pg_stat_file('PG_VERSION')", DENIED),
    ("SELECT pg_current_logfile()", DENIED),
    ("SELECT pg_relation_filepath('pg_class')", DENIED),
    ("SELECT pg_relation_filenode('pg_class')", DENIED),
    ("SELECT pg_filenode_relation(0, 1259)", DENIED),
    ("SELECT pg_tablespace_databases(1663)", DENIED),
    ("SELECT pg_available_extensions()", DENIED),
    ("SELECT * FROM pg_available_extension_versions", DENIED),
    ("COPY (SELECT 1) TO '/tmp/zorya-attempt'", UNSUPPORTED),
    ("COPY pg_class FROM '/etc/passwd'", UNSUPPORTED),
    ("COPY (SELECT 1) TO PROGRAM 'id'", UNSUPPORTED),
    ("COPY pg_class FROM PROGRAM 'id'", UNSUPPORTED),
    ("SELECT lo_create(0)", DENIED),
    ("SELECT lo_creat(-1)", DENIED),
    ("SELECT lo_import('/etc/passwd')", DENIED),
    ("SELECT lo_export(1, '/tmp/zorya-attempt')", DENIED),
    ("SELECT lo_from_bytea(0, 'x')", DENIED),
    ("SELECT lo_get(1)", DENIED),
    ("SELECT lo_put(1, 0, 'x')", DENIED),
    ("SELECT lo_open(1, 131072)", DENIED),
    ("SELECT loread(0, 10)", DENIED),
    ("SELECT lowrite(0, 'x')", DENIED),
    ("SELECT lo_unlink(1)", DENIED),
    ("SELECT * FROM pg_largeobject", DENIED),
    ("LOAD 'auto_explain'", UNSUPPORTED),
    ("CREATE TABLESPACE x LOCATION '/tmp'", UNSUPPORTED),
    ("SELECT * FROM pg_hba_file_rules", DENIED),
    ("SELECT pg_hba_file_rules()", DENIED),
    ("SELECT * FROM pg_ident_file_mappings", DENIED),
    ("SELECT * FROM pg_file_settings", DENIED),
    ("SELECT pg_show_all_file_settings()", DENIED),
    ("SELECT * FROM pg_config", DENIED),
    ("SELECT pg_config()", DENIED),
    ("SHOW data_directory", DENIED),
    ("SHOW config_file", DENIED),
    ("SHOW hba_file", DENIED),
    ("SELECT current_setting('data_directory')", DENIED),
    ("SELECT pg_backup_start('x')", DENIED),
    ("SELECT pg_switch_wal()", DENIED),
    ("SELECT pg_current_wal_lsn()", DENIED),
    ("SELECT pg_create_restore_point('x')", DENIED),
    ("SELECT pg_rotate_logfile()", DENIED),
    ("SELECT pg_control_system()", DENIED),
    ("SELECT pg_control_checkpoint()", DENIED),
]

PROCESSES_AND_CODE = [
    ("SELECT pg_reload_conf()", DENIED),
    ("SELECT pg_promote()", DENIED),
    ("SELECT pg_jit_available()", DENIED),
    ("SELECT pg_log_backend_memory_contexts(1)", DENIED),
    ("SELECT pg_get_backend_memory_contexts()", DENIED),
    ("SELECT pg_get_shmem_allocations()", DENIED),
    ("CREATE EXTENSION dblink", UNSUPPORTED),
    ("CREATE EXTENSION hstore", UNSUPPORTED),
    ("SELECT dblink('host=/tmp', 'select 1')", ABSENT),
    ("CREATE FUNCTION x() RETURNS int LANGUAGE c AS 'libc', 'system'", UNSUPPORTED),
    ("CREATE FUNCTION x(cstring) RETURNS int LANGUAGE internal AS 'int4in'", UNSUPPORTED),
    ("CREATE FUNCTION x() RETURNS int LANGUAGE plpgsql AS 'begin end'", UNSUPPORTED),
    ("CREATE FUNCTION x() RETURNS table_am_handler LANGUAGE c AS 'zorya_query_processor', 'zorya_table_am_handler'",
     UNSUPPORTED),
    ("CREATE LANGUAGE plpgsql", UNSUPPORTED),
    ("DO $$ BEGIN END $$", UNSUPPORTED),
    ("CREATE ACCESS METHOD x TYPE TABLE HANDLER heap_tableam_handler", UNSUPPORTED),
    ("CREATE EVENT TRIGGER x ON ddl_command_start EXECUTE FUNCTION now()", UNSUPPORTED),
    ("CREATE FOREIGN DATA WRAPPER x", UNSUPPORTED),
    ("CREATE SUBSCRIPTION x CONNECTION 'host=/tmp' PUBLICATION y", UNSUPPORTED),
    ("CREATE PUBLICATION x FOR ALL TABLES", UNSUPPORTED),
    ("SELECT pg_create_logical_replication_slot('x', 'test_decoding')", DENIED),
    ("SELECT pg_create_physical_replication_slot('x')", DENIED),
    ("SELECT pg_logical_emit_message(false, 'x', 'y')", DENIED),
    ("SELECT pg_replication_origin_create('x')", DENIED),
    ("SELECT pg_nextoid('pg_class', 'oid', 'pg_class_oid_index')", DENIED),
    ("SELECT pg_stop_making_pinned_objects()", DENIED),
    ("SELECT binary_upgrade_set_next_pg_type_oid(1)", DENIED),
    ("SELECT pg_import_system_collations('public')", DENIED),
    ("SELECT pg_extension_config_dump('pg_class', '')", DENIED),
    ("SELECT pg_stat_reset()", DENIED),
    ("SELECT brin_summarize_new_values('pg_class')", DENIED),
    ("SELECT gin_clean_pending_list('pg_class')", DENIED),
    ("SELECT heap_tableam_handler(NULL)", ABSENT_OR_UNSUPPORTED),
    ("SELECT sys.btree_table_handler(NULL)", ABSENT_OR_UNSUPPORTED),
    ("SELECT sys.gate_rules()", DENIED),
]

SESSIONS = [
    ("SELECT pg_terminate_backend(%(pid)s)", DENIED),
    ("SELECT pg_cancel_backend(%(pid)s)", DENIED),
    ("SELECT pg_blocking_pids(%(pid)s)", DENIED),
    ("SELECT pg_safe_snapshot_blocking_pids(%(pid)s)", DENIED),
    ("SELECT pg_isolation_test_session_is_blocked(%(pid)s, '{}')", DENIED),
    ("SELECT pg_stat_get_activity(NULL)", DENIED),
    ("SELECT pg_stat_get_backend_activity(1)", DENIED),
    ("SELECT pg_stat_get_backend_idset()", DENIED),
    ("SELECT * FROM pg_stat_activity", DENIED),
    ("SELECT * FROM pg_locks", DENIED),
    ("SELECT pg_lock_status()", DENIED),
    ("SELECT * FROM pg_stat_replication", DENIED),
    ("SELECT * FROM pg_stat_ssl", DENIED),
    ("SELECT * FROM pg_prepared_statements", DENIED),
    ("SELECT pg_prepared_statement()", DENIED),
    ("SELECT * FROM pg_cursors", DENIED),
    ("SELECT pg_advisory_lock(1)", DENIED),
    ("SELECT pg_advisory_lock(1, 2)", DENIED),
    ("SELECT pg_advisory_xact_lock(1)", DENIED),
    ("SELECT pg_try_advisory_lock(1)", DENIED),
    ("SELECT pg_try_advisory_xact_lock_shared(1)", DENIED),
    ("SELECT pg_advisory_unlock_all()", DENIED),
    ("LOCK TABLE pg_class", UNSUPPORTED),
    ("LISTEN x", UNSUPPORTED),
    ("NOTIFY x, 'y'", UNSUPPORTED),
    ("SELECT pg_notify('x', 'y')", DENIED),
    ("SELECT pg_notification_queue_usage()", DENIED),
    ("SELECT pg_listening_channels()", DENIED),
    ("SELECT pg_export_snapshot()", DENIED),
    ("SELECT txid_current()", DENIED),
    ("SELECT pg_current_xact_id()", DENIED),
    ("SELECT pg_xact_status('1')", DENIED),
    ("SELECT * FROM pg_shadow", DENIED),
    ("SELECT * FROM pg_authid", DENIED),
    ("SELECT rolpassword FROM pg_authid", DENIED),
    ("SELECT * FROM pg_user_mapping", DENIED),
    ("SELECT * FROM pg_user_mappings", DENIED),
    ("SELECT * FROM pg_statistic", DENIED),
    ("SELECT * FROM pg_subscription", DENIED),
    ("SELECT * FROM sys.job_log", DENIED),
    ("INSERT INTO sys.job_log (job_id) SELECT 'x'", DENIED),
    ("SET ROLE zorya_jobs", DENIED),
    ("DELETE FROM sys.jobs", DENIED),
]

SETTINGS_AND_ROLES = [
    ("SET work_mem = '10GB'", UNSUPPORTED),
    ("SET LOCAL work_mem = '10GB'", UNSUPPORTED),
    ("SELECT set_config('work_mem', '10GB', false)", UNSUPPORTED),
    ("SELECT pg_catalog.set_config('statement_timeout', '0', true)", UNSUPPORTED),
    ("SELECT builtin_set_config('work_mem', '10GB', false)", DENIED),
    ("SELECT * FROM (VALUES ('work_mem')) x(n), LATERAL set_config(x.n, '10GB', false)", UNSUPPORTED),
    ("SELECT set_config(name, '10GB', false) FROM pg_settings WHERE name = 'work_mem'", UNSUPPORTED),
    ("UPDATE pg_settings SET setting = '10GB' WHERE name = 'work_mem'", DENIED),
    ("SET default_table_access_method = 'heap'", UNSUPPORTED),
    ("SET default_transaction_isolation = 'read committed'", UNSUPPORTED),
    ("SET transaction_isolation = 'read committed'", UNSUPPORTED),
    ("BEGIN ISOLATION LEVEL READ COMMITTED", UNSUPPORTED),
    ("SET session_replication_role = replica", UNSUPPORTED),
    ("SET zorya.gate = off", UNSUPPORTED),
    ("SET local_preload_libraries = 'x'", UNSUPPORTED),
    ("SET dynamic_library_path = '/tmp'", UNSUPPORTED),
    ("ALTER SYSTEM SET fsync = off", UNSUPPORTED),
    ("ALTER DATABASE postgres SET work_mem = '10GB'", UNSUPPORTED),
    ("ALTER ROLE CURRENT_USER SET work_mem = '10GB'", UNSUPPORTED),
    ("ALTER ROLE ALL SET work_mem = '10GB'", UNSUPPORTED),
    ("ALTER ROLE CURRENT_USER SUPERUSER", UNSUPPORTED),
    ("CREATE ROLE x SUPERUSER", UNSUPPORTED),
    ("SET SESSION AUTHORIZATION zorya_owner", UNSUPPORTED),
    ("RESET SESSION AUTHORIZATION", UNSUPPORTED),
    ("SET ROLE zorya_owner", DENIED),
    ("SELECT set_config('role', 'zorya_owner', false)", DENIED),
    ("SELECT set_config('session_authorization', 'zorya_owner', false)", UNSUPPORTED),
    ("GRANT zorya_owner TO CURRENT_USER", UNSUPPORTED),
    ("GRANT pg_read_server_files TO CURRENT_USER", UNSUPPORTED),
    ("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO CURRENT_USER", DENIED),
    ("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_catalog TO CURRENT_USER", UNSUPPORTED),
    ("GRANT SET ON PARAMETER work_mem TO CURRENT_USER", UNSUPPORTED),
    ("ALTER FUNCTION pg_read_file(text) OWNER TO CURRENT_USER", DENIED),
    ("ALTER FUNCTION pg_catalog.set_config(text, text, boolean) RENAME TO x", DENIED),
    ("DROP FUNCTION pg_catalog.set_config(text, text, boolean)", DENIED),
    ("DROP FUNCTION sys.dsql_major_version()", DENIED),
    ("CREATE OR REPLACE FUNCTION pg_catalog.version() RETURNS text LANGUAGE sql RETURN 'x'::text", DENIED),
    ("UPDATE pg_proc SET proacl = NULL", DENIED),
    ("UPDATE pg_class SET relowner = 10", DENIED),
    ("INSERT INTO pg_proc SELECT * FROM pg_proc LIMIT 1", DENIED),
    ("DELETE FROM pg_depend", DENIED),
    ("ALTER TABLE pg_catalog.pg_authid OWNER TO CURRENT_USER", DENIED),
    ("ALTER VIEW sys.jobs OWNER TO CURRENT_USER", DENIED),
    ("CREATE OR REPLACE VIEW sys.jobs AS SELECT 1", DENIED),
    ("DROP SCHEMA sys CASCADE", UNSUPPORTED),
    ("CREATE TEMP TABLE x (a int)", UNSUPPORTED),
    ("CREATE TABLE pg_temp.x (a int)", UNSUPPORTED),
    ("PREPARE TRANSACTION 'x'", UNSUPPORTED),
    ("SAVEPOINT x", UNSUPPORTED),
    ("VACUUM", UNSUPPORTED),
    ("CHECKPOINT", UNSUPPORTED),
]

TEXT_AS_SQL = [
    ("SELECT query_to_xml('select 1', true, true, '')", (UNSUPPORTED, DENIED)),
    ("SELECT query_to_xmlschema('select 1', true, true, '')", (UNSUPPORTED, DENIED)),
    ("SELECT query_to_xml('select 1', true, true, '')::text", (UNSUPPORTED, DENIED)),
    ("SELECT cursor_to_xml('x', 1, true, true, '')", (UNSUPPORTED, DENIED)),
    ("SELECT table_to_xml('pg_class', true, true, '')", (UNSUPPORTED, DENIED)),
    ("SELECT schema_to_xml('pg_catalog', true, true, '')", (UNSUPPORTED, DENIED)),
    ("SELECT database_to_xml(true, true, '')", (UNSUPPORTED, DENIED)),
    ("SELECT ts_stat('select to_tsvector(''x'')')", DENIED),
    ("SELECT ts_rewrite('a'::tsquery, 'select ''a''::tsquery, ''b''::tsquery')", DENIED),
    ("SELECT xmlparse(document '<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>')", UNSUPPORTED),
    ("EXECUTE x", UNSUPPORTED),
    ("PREPARE x AS SELECT pg_read_file('x')", UNSUPPORTED),
    # By other roads: casts, operators, aggregates, views of the catalogue, arguments never evaluated at top level.
    ("SELECT CASE WHEN true THEN pg_read_file('PG_VERSION') END", DENIED),
    ("SELECT coalesce(NULL, pg_read_file('PG_VERSION'))", DENIED),
    ("SELECT count(pg_read_file('PG_VERSION'))", DENIED),
    ("VALUES (pg_read_file('PG_VERSION'))", DENIED),
    ("SELECT * FROM pg_read_file('PG_VERSION')", DENIED),
    ("SELECT * FROM ROWS FROM (pg_ls_dir('.'), generate_series(1, 2))", DENIED),
    ("SELECT 1 ORDER BY pg_read_file('PG_VERSION')", DENIED),
    ("SELECT 1 LIMIT pg_terminate_backend(%(pid)s)::int", DENIED),
    ("EXPLAIN ANALYZE SELECT pg_read_file('PG_VERSION')", DENIED),
    ("WITH x AS MATERIALIZED (SELECT pg_read_file('PG_VERSION') f) SELECT f FROM x", DENIED),
    ("COPY (SELECT pg_read_file('PG_VERSION')) TO STDOUT", DENIED),
    ("SELECT pg_catalog.pg_read_file('PG_VERSION'::text)", DENIED),
    ("SELECT (SELECT pg_read_file('PG_VERSION') WHERE x.a = 1) FROM (VALUES (1)) x(a)", DENIED),
    ("SELECT 1 WHERE clock_timestamp() < '2000-01-01' AND pg_read_file('PG_VERSION') IS NULL", DENIED),
]

ATTEMPTS = FILES + PROCESSES_AND_CODE + SESSIONS + SETTINGS_AND_ROLES + TEXT_AS_SQL

# Attempts in several steps, in a schema that the role owns; the last step must be refused.
STEPS = {
    "definer": (["CREATE FUNCTION {s}.f() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT pg_read_file(''PG_VERSION'')'"],
                "SELECT {s}.f()", DENIED),
    "atomic": (["CREATE FUNCTION {s}.f() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT pg_read_file('PG_VERSION'); END"],
               "SELECT {s}.f()", DENIED),
    "inlined": (["CREATE FUNCTION {s}.f() RETURNS text LANGUAGE sql STABLE RETURN pg_read_file('PG_VERSION')"],
                "SELECT {s}.f()", DENIED),
    "set_in_function": (["CREATE FUNCTION {s}.f() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT set_config('work_mem', '10GB', false); END"],
                        "SELECT {s}.f()", UNSUPPORTED),
    "statement_in_function": (["CREATE FUNCTION {s}.f() RETURNS void LANGUAGE sql AS 'SET work_mem = ''10GB'''"],
                              "SELECT {s}.f()", UNSUPPORTED),
    "listen_in_function": (["CREATE FUNCTION {s}.f() RETURNS void LANGUAGE sql AS 'LISTEN x'"], "SELECT {s}.f()",
                           UNSUPPORTED),
    "share_lock_in_function": (["CREATE TABLE {s}.t (id int PRIMARY KEY)"],
                               "CREATE FUNCTION {s}.f() RETURNS SETOF int LANGUAGE sql BEGIN ATOMIC SELECT id FROM {s}.t FOR SHARE; END",
                               UNSUPPORTED),
    "view": (["CREATE VIEW {s}.v AS SELECT pg_read_file('PG_VERSION')"], "SELECT * FROM {s}.v", DENIED),
    "default": (["CREATE TABLE {s}.t (id int PRIMARY KEY, v text DEFAULT pg_read_file('PG_VERSION'))"],
                "INSERT INTO {s}.t (id) VALUES (1)", DENIED),
    "check": (["CREATE TABLE {s}.t (id int PRIMARY KEY, CHECK (pg_read_file('PG_VERSION') IS NOT NULL))"],
              "INSERT INTO {s}.t VALUES (1)", DENIED),
    "domain": (["CREATE DOMAIN {s}.d AS int CHECK (pg_advisory_lock(1) IS NULL)"], "SELECT 1::{s}.d", DENIED),
    "search_path": (["CREATE FUNCTION {s}.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS 'SELECT pg_catalog.set_config($1, $2, $3)'",
                     "SET search_path = {s}, pg_catalog"],
                    "SELECT set_config('work_mem', '10GB', false)", UNSUPPORTED),
    "shadowed_operator": (["CREATE FUNCTION {s}.quote_ident(text) RETURNS text LANGUAGE sql AS 'SELECT pg_read_file(''PG_VERSION'')'",
                           "SET search_path = {s}, pg_catalog"], "SELECT quote_ident('x'::text)", DENIED),
    "own_operator": ([], "CREATE OPERATOR {s}.=== (leftarg = text, rightarg = text, function = pg_read_file)", UNSUPPORTED),
    "own_cast": ([], "CREATE CAST (text AS bytea) WITH FUNCTION pg_read_binary_file(text)", UNSUPPORTED),
    "own_aggregate": ([], "CREATE AGGREGATE {s}.a (text) (sfunc = pg_read_file, stype = text)", UNSUPPORTED),
    "trigger": (["CREATE TABLE {s}.t (id int PRIMARY KEY)"],
                "CREATE TRIGGER x AFTER INSERT ON {s}.t EXECUTE FUNCTION suppress_redundant_updates_trigger()", UNSUPPORTED),
    "rule": (["CREATE TABLE {s}.t (id int PRIMARY KEY)"],
             "CREATE RULE x AS ON INSERT TO {s}.t DO ALSO NOTIFY x", UNSUPPORTED),
    "temporary_path": (["SET search_path = pg_temp"], "CREATE TABLE x (a int)", (DENIED, "3F000")),
    "heap": ([], "CREATE TABLE {s}.t (id int) USING heap", UNSUPPORTED),
    "like_catalogue": ([], "CREATE TABLE {s}.t (LIKE pg_authid)", (UNSUPPORTED, DENIED)),
    "copy_catalogue": ([], "COPY pg_authid TO STDOUT", DENIED),
}


@pytest.fixture(scope="module")
def server():
    with ScratchServer(roles=("app",), settings={"lock_timeout": "50ms"}) as started:
        for role in ("admin", "app"):
            started.execute_file_text(f"CREATE SCHEMA own_{role} AUTHORIZATION {role}")
        yield started


@pytest.fixture(scope="module", params=["admin", "app"])
def session(request, server):
    return server.connect(request.param)


@pytest.fixture(scope="module")
def other(server):
    """The session that attempts are aimed at; it must live through all of them."""
    return server.connect("admin")


def refusal(connection: psycopg.Connection, statement: str) -> str | None:
    try:
        if statement.startswith("COPY") and "STDOUT" in statement:
            with connection.cursor().copy(statement) as copy:
                for _ in copy:
                    pass
        else:
            connection.execute(statement)
    except psycopg.Error as error:
        return error.sqlstate
    return None


def codes(expected) -> tuple:
    return expected if isinstance(expected, tuple) else (expected,)


@pytest.mark.parametrize("statement,expected", ATTEMPTS, ids=[attempt[0][:60] for attempt in ATTEMPTS])
def test_attempt_is_refused(session, other, statement, expected):
    aimed = statement % {"pid": other.info.backend_pid} if "%(pid)s" in statement else statement
    assert refusal(session, aimed) in codes(expected)
    assert other.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("name", STEPS)
def test_attempt_in_steps_is_refused(session, name):
    steps, last, expected = STEPS[name]
    schema = f"own_{session.info.user}"
    session.execute("RESET search_path")
    try:
        for step in steps:
            session.execute(step.format(s=schema))
        assert refusal(session, last.format(s=schema)) in codes(expected)
    finally:
        session.execute("RESET search_path")
        for relation in ("VIEW IF EXISTS {s}.v", "TABLE IF EXISTS {s}.t CASCADE", "DOMAIN IF EXISTS {s}.d"):
            session.execute("DROP " + relation.format(s=schema))
        names = session.execute("SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = %s::regnamespace",
                                (schema,)).fetchall()
        for (function,) in names:
            session.execute(f"DROP FUNCTION {function}")


JOB_BODIES = [
    # What a background job evaluates, and why it must fail there.
    ("SELECT pg_read_file('PG_VERSION') IS NOT NULL", "permission denied for function pg_read_file"),
    ("SELECT EXISTS (SELECT FROM pg_authid WHERE rolpassword IS NULL)", "permission denied for table pg_authid"),
    ("RESET SESSION AUTHORIZATION; SELECT true", "a function that a job evaluates can only read"),
    ("SET ROLE zorya_owner; SELECT true", "a function that a job evaluates can only read"),
    ("CREATE TABLE {s}.escaped (id int) USING heap; SELECT true", "a function that a job evaluates can only read"),
    ("INSERT INTO {s}.t VALUES (2); SELECT true", "a function that a job evaluates can only read"),
    ("DELETE FROM sys.job_log; SELECT true", ("permission denied for table job_log", "a function that a job evaluates can only read")),
]


@pytest.mark.parametrize("body,reason", JOB_BODIES)
def test_attempt_by_a_job_fails_it(server, session, body, reason):
    schema = f"own_{session.info.user}"
    session.execute("RESET search_path")
    statements = [f"CREATE TABLE {schema}.t (id int PRIMARY KEY)", f"INSERT INTO {schema}.t VALUES (1)",
                  f"CREATE FUNCTION {schema}.f(int) RETURNS boolean LANGUAGE sql AS $body${body.format(s=schema)}$body$"]
    try:
        for statement in statements:
            session.execute(statement)
        session.execute(f"ALTER TABLE {schema}.t ADD CONSTRAINT c CHECK ({schema}.f(id)) NOT VALID")
        job_id = submit(session, f"ALTER TABLE /*a*/ {schema}.t VALIDATE CONSTRAINT c")
        assert not wait_for_job(session, job_id)
        assert job(session, job_id)["details"] in codes(reason)
    finally:
        session.execute(f"DROP TABLE IF EXISTS {schema}.t CASCADE")
        session.execute(f"DROP FUNCTION IF EXISTS {schema}.f(int)")
    assert server.connect().execute("SELECT count(*) FROM pg_class WHERE relname = 'escaped'").fetchone() == (0,)


def test_an_index_expression_that_reads_files_fails_its_job(session):
    schema = f"own_{session.info.user}"
    session.execute(f"CREATE TABLE {schema}.t (id int PRIMARY KEY)")
    session.execute(f"INSERT INTO {schema}.t VALUES (1)")
    session.execute(f"CREATE FUNCTION {schema}.f(int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT pg_read_file(''PG_VERSION'')'")
    job_id = submit(session, f"CREATE INDEX /*a*/ ON {schema}.t ({schema}.f(id))")
    assert not wait_for_job(session, job_id)
    assert job(session, job_id)["details"] == "permission denied for function pg_read_file"
    session.execute(f"DROP TABLE {schema}.t")
    session.execute(f"DROP FUNCTION {schema}.f(int)")


def test_settings_stayed(session):
    assert session.execute("SHOW work_mem").fetchone() == ("4MB",)
    assert session.execute("SHOW transaction_isolation").fetchone() == ("repeatable read",)


def test_callable_functions_are_the_reviewed_ones(server):
    """No function that reads files, talks to sessions or runs text is callable by everybody, whatever its name."""
    with server.connect() as owner:
        names = {row[0] for row in owner.execute(
            "SELECT proname FROM pg_proc WHERE has_function_privilege('public', oid, 'execute')"
            " AND pronamespace = 'pg_catalog'::regnamespace AND provolatile <> 'i' AND prokind NOT IN ('a', 'w')")}
    forbidden = {name for name in names if name.startswith((
        "lo_", "lo", "pg_ls_", "pg_read_", "pg_stat_", "pg_advisory", "pg_try_advisory", "pg_terminate", "pg_cancel",
        "pg_logical", "pg_replication", "pg_create_", "pg_drop_", "pg_wal", "pg_current_", "pg_export", "pg_notify",
        "query_to", "cursor_to", "table_to", "schema_to", "database_to", "binary_upgrade", "txid", "pg_control"))}
    assert forbidden == set()
    assert len(names) < 420


def test_superuser_exists_once_and_owns_the_catalogue(session):
    assert session.execute("SELECT count(*) FROM pg_roles WHERE rolsuper").fetchone() == (1,)
    assert session.execute("SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
                           " FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
