"""What a job does from its statement to its end, and who sees what of it."""
import pathlib
import re
import sys
import threading
import time

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.jobs import (change, check_index, index_state, job, launcher_of, submit, submit_again, wait_for_all_jobs,  # noqa: E402
                          wait_for_job, worker_waits)
from support.waiting import wait_until  # noqa: E402
from support.scratch_server import ScratchServer  # noqa: E402

ROWS = 3000  # some 50 pages: no small table, so that jobs have all to do
DDL_S_MAX = 1.0  # 40 ms, and a machine that does other things
AGE_S = 2


@pytest.fixture(scope="module")
def server():
    with ScratchServer(roles=("app",), settings={"lock_timeout": "50ms", "zorya.transaction_age_s_max": AGE_S}) as started:
        yield started


@pytest.fixture
def admin(server):
    session = server.connect("admin")
    session.execute("CREATE TABLE t (id int PRIMARY KEY, v int, s text)")
    session.execute("CREATE TABLE aside (id int PRIMARY KEY)")
    session.execute("INSERT INTO aside VALUES (0)")
    session.execute(f"INSERT INTO t SELECT g, g, repeat('x', 100) FROM generate_series(1, {ROWS}) g")
    yield session
    for connection in server.connections:
        if connection is not session:
            connection.close()
    wait_for_all_jobs(server)
    session.execute("DROP TABLE IF EXISTS t, small, child CASCADE")
    session.execute("DROP TABLE aside")
    session.close()
    server.connections.clear()


@pytest.fixture
def owner(server):
    return server.connect()


@pytest.fixture
def reader(server, admin):
    """A transaction that only reads another table: its snapshot keeps every build from its end."""
    session = server.connect("admin")
    session.execute("BEGIN; SELECT * FROM aside")
    return session


def test_a_job_goes_from_submitted_to_completed(server, admin, owner, reader):
    job_id = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")
    assert re.fullmatch("[a-z2-7]{26}", job_id)
    wait_until(lambda: job(admin, job_id)["status"] == "processing" and worker_waits(owner), "the wait for the reader")
    seen = job(admin, job_id)
    assert (seen["job_type"], seen["class_id"], seen["object_name"], seen["details"]) == ("INDEX_BUILD", 1259, "public.i", None)
    assert index_state(owner, "i") == (False, True)  # listed at once; written to, not yet read
    reader.execute("COMMIT")
    assert wait_for_job(admin, job_id)
    ended = job(server.connect("app"), job_id)
    assert ended["status"] == "completed" and ended["update_time"] > ended["start_time"] == seen["start_time"]
    assert ended["object_id"] == seen["object_id"]
    assert index_state(owner, "i") == (True, True)
    check_index(owner, "i")


def test_a_small_table_is_filled_by_the_statement(admin, owner, reader):
    admin.execute("CREATE TABLE small (id int PRIMARY KEY, v int)")
    admin.execute("INSERT INTO small VALUES (1, 1)")
    job_id = submit(admin, "CREATE UNIQUE INDEX /*a*/ su ON small (v)")
    assert index_state(owner, "su") == (True, True)
    with pytest.raises(psycopg.errors.UniqueViolation):
        admin.execute("INSERT INTO small VALUES (2, 1)")
    assert wait_for_job(admin, job_id)  # though a reader is open: there was nothing to wait for
    reader.execute("COMMIT")


def test_a_small_table_with_a_value_that_fails_fails_the_job_and_not_the_statement(admin, owner):
    admin.execute("CREATE TABLE small (id int PRIMARY KEY, v int)")
    admin.execute("INSERT INTO small VALUES (1, 0)")
    job_id = submit(admin, "CREATE INDEX /*a*/ se ON small ((1 / v))")
    assert not wait_for_job(admin, job_id)
    assert job(admin, job_id)["status"] == "failed" and "division by zero" in job(admin, job_id)["details"]
    assert index_state(owner, "se") == (False, False)
    admin.execute("INSERT INTO small VALUES (2, 0)")  # it costs writers nothing


def test_a_build_waits_for_open_writers_and_others_go_on(server, admin, owner):
    writer, other = server.connect("admin"), server.connect("admin")
    job_id = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")
    writer.execute("BEGIN; INSERT INTO t VALUES (-1, -1, ''); UPDATE t SET v = -v WHERE id = 2")
    for id in range(10):
        other.execute("INSERT INTO t VALUES (%s, %s, '')", [10000 + id, id])
        other.execute("UPDATE t SET v = v + 1 WHERE id = %s", [100 + id])
        other.execute("DELETE FROM t WHERE id = %s", [200 + id])
    assert job(admin, job_id)["status"] != "failed"
    writer.execute("COMMIT")
    assert wait_for_job(admin, job_id)
    check_index(owner, "i")
    admin.execute("SET enable_seqscan = off")
    assert admin.execute("SELECT count(*) FROM t WHERE v < 0").fetchone() == (2,)
    assert "Index" in "".join(row[0] for row in admin.execute("EXPLAIN SELECT id FROM t WHERE v = 7"))
    admin.execute("RESET enable_seqscan")


def test_a_rollback_leaves_nothing(admin, owner):
    admin.execute("BEGIN")
    job_id = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")
    admin.execute("ROLLBACK")
    assert job(admin, job_id) == {}
    assert owner.execute("SELECT count(*) FROM pg_class WHERE relname = 'i'").fetchone() == (0,)
    admin.execute("BEGIN")
    job_id = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")
    admin.execute("COMMIT")
    assert wait_for_job(admin, job_id)


def test_a_failed_unique_build_says_why_and_goes_on_enforcing(admin, owner):
    admin.execute("UPDATE t SET v = 1 WHERE id = 2")
    job_id = submit(admin, "CREATE UNIQUE INDEX /*a*/ u ON t (v)")
    assert not wait_for_job(admin, job_id)
    failed = job(admin, job_id)
    assert failed["status"] == "failed"
    assert failed["details"] == "Found duplicate key while validating index for UCVs"
    assert index_state(owner, "u") == (False, True)
    for value in (1, 1234):  # one that is there twice, one that is there once
        with pytest.raises(psycopg.errors.UniqueViolation, match='"u"'):
            admin.execute("INSERT INTO t VALUES (-1, %s, '')", [value])
    admin.execute("INSERT INTO t VALUES (-1, -1, '')")
    again = submit(admin, "CREATE UNIQUE INDEX /*a*/ IF NOT EXISTS u ON t (v)")
    assert again == job_id
    admin.execute("DROP INDEX u")
    admin.execute("INSERT INTO t VALUES (-2, 1, '')")


def test_nulls_are_no_duplicates_unless_they_are_told_to_be(admin):
    admin.execute("UPDATE t SET v = NULL WHERE id < 10")
    assert wait_for_job(admin, submit(admin, "CREATE UNIQUE INDEX /*a*/ u ON t (v)"))
    assert not wait_for_job(admin, submit(admin, "CREATE UNIQUE INDEX /*a*/ n ON t (v) NULLS NOT DISTINCT"))


def test_dead_rows_are_no_duplicates(admin, owner):
    admin.execute("UPDATE t SET v = 1 WHERE id = 2")
    admin.execute("UPDATE t SET v = 2 WHERE id = 2")
    admin.execute("DELETE FROM t WHERE id = 3")
    admin.execute("INSERT INTO t VALUES (3, 3, '')")
    assert wait_for_job(admin, submit(admin, "CREATE UNIQUE INDEX /*a*/ u ON t (v)"))
    check_index(owner, "u")


@pytest.mark.parametrize("type,values", [("numeric(9,2)", ("1", "1.00")), ("double precision", ("0.0", "-0.0")),
                                         ("char(5)", ("'a'", "'a    '")), ("text", ("'a'", "'a'"))])
def test_values_that_are_equal_are_duplicates_however_they_are_written(admin, type, values):
    admin.execute(f"ALTER TABLE t ADD COLUMN w {type}")
    for id, value in enumerate(values, 1):
        admin.execute(f"UPDATE t SET w = {value} WHERE id = {id}")
    assert not wait_for_job(admin, submit(admin, "CREATE UNIQUE INDEX /*a*/ u ON t (w)"))


def test_columns_together_make_the_key(admin, owner):
    admin.execute("UPDATE t SET v = id % 10, s = (id / 10)::text || repeat('x', 100)")
    assert wait_for_job(admin, submit(admin, "CREATE UNIQUE INDEX /*a*/ u ON t (v, s)"))
    check_index(owner, "u")
    assert not wait_for_job(admin, submit(admin, "CREATE UNIQUE INDEX /*a*/ w ON t (v)"))
    check_index(owner, "w")  # with all its duplicates


def test_duplicates_that_go_before_the_end_are_no_matter(admin, owner, reader):
    """A build may be begun over duplicates that are removed while it waits."""
    admin.execute("UPDATE t SET v = 1 WHERE id <= 500")
    job_id = submit(admin, "CREATE UNIQUE INDEX /*a*/ u ON t (v)")
    wait_until(lambda: index_state(owner, "u") == (False, True) and worker_waits(owner), "the wait for the reader")
    admin.execute("DELETE FROM t WHERE id BETWEEN 2 AND 400")
    admin.execute("UPDATE t SET v = id WHERE id BETWEEN 401 AND 500")
    reader.execute("COMMIT")
    assert wait_for_job(admin, job_id)
    check_index(owner, "u")


def test_partial_and_expression_indexes_are_built_too(admin, owner):
    admin.execute("UPDATE t SET v = 1 WHERE id > 2000")
    assert wait_for_job(admin, submit(admin, "CREATE UNIQUE INDEX /*a*/ p ON t (v) WHERE id <= 2000"))
    assert wait_for_job(admin, submit(admin, "CREATE INDEX /*a*/ e ON t (lower(s), (v + 1)) INCLUDE (id)"))
    check_index(owner, "p")
    check_index(owner, "e")


# ------------------------------------------------------------------ jobs give way


def test_drop_index_ends_its_build_at_once(admin, owner, reader):
    job_id = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")
    wait_until(lambda: worker_waits(owner), "the wait for the reader")
    assert change(admin, "DROP INDEX i") < DDL_S_MAX
    wait_until(lambda: job(admin, job_id)["status"] == "cancelled", "the end of the job")
    seen = job(admin, job_id)
    assert (seen["object_name"], seen["details"]) == (None, "Skipped job for nonexistent index.")
    assert not wait_for_job(admin, job_id)


def test_drop_table_ends_the_builds_on_it(admin, owner, reader):
    ids = [submit(admin, "CREATE INDEX /*a*/ i ON t (v)")]
    wait_until(lambda: worker_waits(owner), "the wait for the reader")
    ids.append(submit_again(admin, "CREATE INDEX /*a*/ j ON t (s)"))
    change(admin, "DROP TABLE t")
    for job_id in ids:
        assert not wait_for_job(admin, job_id)
        seen = job(admin, job_id)
        assert (seen["status"], seen["details"]) == ("cancelled", "Skipped job for nonexistent table.")
    assert owner.execute("SELECT count(*) FROM sys.jobs WHERE job_type = 'DROP' AND status = 'completed'").fetchone()[0] >= 1


def test_a_schema_change_interrupts_a_build_which_goes_on_after_it(admin, owner, reader):
    job_id = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")
    for column in ("a", "b", "c"):
        wait_until(lambda: worker_waits(owner), "the wait for the reader")
        assert change(admin, f"ALTER TABLE t ADD COLUMN {column} int") < DDL_S_MAX
    assert job(admin, job_id)["status"] == "processing"
    reader.execute("COMMIT")
    assert wait_for_job(admin, job_id)
    check_index(owner, "i")


def test_statements_of_other_kinds_do_not_meet_a_build(admin, owner, reader):
    """Read, written, granted: none waits for the build, and none ends it."""
    job_id = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")
    wait_until(lambda: worker_waits(owner), "the wait for the reader")
    pid = owner.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'zorya job worker'").fetchone()
    for statement in ("SELECT count(*) FROM t", "INSERT INTO t VALUES (-5, -5, '')", "UPDATE t SET v = v + 1 WHERE id = 1",
                      "DELETE FROM t WHERE id = 7", "GRANT SELECT ON t TO app"):
        admin.execute(statement)
    assert owner.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'zorya job worker'").fetchone() == pid
    assert job(admin, job_id)["status"] == "processing"
    reader.execute("COMMIT")
    assert wait_for_job(admin, job_id)


def test_two_indexes_on_one_table_are_listed_at_once_and_both_built(admin, owner, reader):
    first = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")
    second = submit_again(admin, "CREATE UNIQUE INDEX /*a*/ j ON t (v, id)")
    assert {row[0] for row in admin.execute("SELECT indexname FROM pg_indexes WHERE tablename = 't'")} >= {"i", "j"}
    reader.execute("COMMIT")
    assert wait_for_job(admin, first) and wait_for_job(admin, second)
    check_index(owner, "i")
    check_index(owner, "j")


def test_a_job_that_waits_does_not_hold_up_one_on_another_table(server, admin, owner):
    """The first waits for a writer of its table; the second has no reason to."""
    writer = server.connect("admin")
    first = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")
    assert wait_for_job(admin, first)
    admin.execute("CREATE TABLE child (id int PRIMARY KEY, parent int)")
    admin.execute("INSERT INTO child SELECT g, g FROM generate_series(1, 20) g")
    writer.execute("BEGIN; SELECT * FROM aside")
    second = submit(admin, "CREATE INDEX /*a*/ j ON t (s)")
    wait_until(lambda: worker_waits(owner), "the wait for the reader")
    third = submit(admin, "CREATE INDEX /*a*/ c ON child (parent)")
    assert wait_for_job(admin, third)
    assert job(admin, second)["status"] == "processing"
    writer.execute("COMMIT")
    assert wait_for_job(admin, second)


# ------------------------------------------------------------------ sys.wait_for_job


def test_a_waiting_session_does_not_hold_what_it_waits_for(server, admin, owner, reader):
    job_id = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")
    answers = []
    waiting = [threading.Thread(target=lambda: answers.append(wait_for_job(server.connect("app"), job_id))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    wait_until(lambda: owner.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL sys.wait%' AND "
                                     "state = 'active' AND backend_xmin IS NULL").fetchone() == (3,), "three that wait")
    assert answers == []
    reader.execute("COMMIT")
    for thread in waiting:
        thread.join(20)
    assert answers == [True] * 3


def test_a_wait_can_be_cancelled_and_runs_out_at_the_age_limit(server, admin, owner, reader):
    job_id = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")
    session = server.connect("admin")
    cancel = threading.Timer(0.2, session.cancel)
    cancel.start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        wait_for_job(session, job_id)
    cancel.join()
    begin = time.monotonic()
    assert wait_for_job(session, job_id) is False
    assert time.monotonic() - begin >= AGE_S * 0.9
    assert session.execute("SELECT 1").fetchone() == (1,)
    reader.execute("ROLLBACK")
    assert wait_for_job(session, job_id)


def test_a_wait_is_no_part_of_a_block(admin):
    job_id = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")
    for statement in (f"BEGIN; CALL sys.wait_for_job('{job_id}')", f"SELECT 1; CALL sys.wait_for_job('{job_id}')"):
        with pytest.raises(psycopg.Error):
            admin.execute(statement)
        admin.execute("ROLLBACK")
    assert wait_for_job(admin, job_id)
    assert wait_for_job(admin, "a" * 26) is False


# ------------------------------------------------------------------ other jobs


def test_a_check_is_validated_by_a_job(admin, owner):
    admin.execute("ALTER TABLE t ADD CONSTRAINT positive CHECK (v > 0) NOT VALID")
    job_id = submit(admin, "ALTER TABLE /*a*/ t VALIDATE CONSTRAINT positive")
    assert wait_for_job(admin, job_id)
    assert job(admin, job_id)["object_name"] == "public.t"
    assert owner.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'positive'").fetchone() == (True,)
    admin.execute("ALTER TABLE t ADD CONSTRAINT large CHECK (v > 5) NOT VALID")
    job_id = submit(admin, "ALTER TABLE /*a*/ t VALIDATE CONSTRAINT large")
    assert not wait_for_job(admin, job_id)
    assert job(admin, job_id)["details"] == 'check constraint "large" of relation "t" is violated by some row'
    assert owner.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'large'").fetchone() == (False,)
    with pytest.raises(psycopg.errors.UndefinedObject, match='constraint "absent" of relation "t" does not exist'):
        admin.execute("ALTER TABLE /*a*/ t VALIDATE CONSTRAINT absent")
    with pytest.raises(psycopg.errors.WrongObjectType):
        admin.execute("ALTER TABLE /*a*/ t VALIDATE CONSTRAINT t_pkey")


def test_a_constraint_that_goes_ends_its_validation(admin):
    admin.execute("CREATE FUNCTION slow(int) RETURNS boolean LANGUAGE sql AS 'SELECT true FROM pg_sleep(0.01)'")
    admin.execute("ALTER TABLE t ADD CONSTRAINT lasts CHECK (slow(v)) NOT VALID")
    job_id = submit(admin, "ALTER TABLE /*a*/ t VALIDATE CONSTRAINT lasts")
    wait_until(lambda: job(admin, job_id)["status"] == "processing", "the job's begin")
    change(admin, "ALTER TABLE t DROP CONSTRAINT lasts")
    assert not wait_for_job(admin, job_id)
    seen = job(admin, job_id)
    assert (seen["status"], seen["details"]) == ("cancelled", "Skipped job for nonexistent constraint.")
    assert seen["object_name"] == "public.t"
    admin.execute("DROP FUNCTION slow(int)")


def test_a_foreign_key_is_validated_by_a_job(admin, owner):
    admin.execute("CREATE TABLE child (id int PRIMARY KEY, parent int)")
    admin.execute("INSERT INTO child VALUES (1, 1), (2, -7)")
    admin.execute("ALTER TABLE child ADD CONSTRAINT fk FOREIGN KEY (parent) REFERENCES t NOT VALID")
    job_id = submit(admin, "ALTER TABLE /*a*/ child VALIDATE CONSTRAINT fk")
    assert not wait_for_job(admin, job_id)
    assert "violates foreign key constraint" in job(admin, job_id)["details"]
    admin.execute("DELETE FROM child WHERE id = 2")
    assert wait_for_job(admin, submit(admin, "ALTER TABLE /*a*/ child VALIDATE CONSTRAINT fk"))
    assert owner.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'fk'").fetchone() == (True,)


def test_what_a_job_evaluates_can_only_read(admin, owner):
    """A function in a CHECK runs in the job's session: as the owner of the table, and it writes nothing there."""
    admin.execute("CREATE FUNCTION f(int) RETURNS boolean VOLATILE LANGUAGE sql AS "
                  "'INSERT INTO aside VALUES ($1); SELECT true'")
    admin.execute("CREATE FUNCTION who(int) RETURNS boolean STABLE LANGUAGE sql AS "
                  "$$SELECT current_user = 'admin' AND session_user <> 'zorya_owner'$$")
    admin.execute("ALTER TABLE t ADD CONSTRAINT writes CHECK (f(v)) NOT VALID")
    admin.execute("ALTER TABLE t ADD CONSTRAINT asks CHECK (who(v)) NOT VALID")
    job_id = submit(admin, "ALTER TABLE /*a*/ t VALIDATE CONSTRAINT writes")
    assert not wait_for_job(admin, job_id)
    assert job(admin, job_id)["details"] == "a function that a job evaluates can only read"
    assert admin.execute("SELECT count(*) FROM aside").fetchone() == (1,)
    assert wait_for_job(admin, submit(admin, "ALTER TABLE /*a*/ t VALIDATE CONSTRAINT asks"))
    admin.execute("ALTER TABLE t DROP CONSTRAINT writes")
    admin.execute("ALTER TABLE t DROP CONSTRAINT asks")
    admin.execute("DROP FUNCTION f(int)")
    admin.execute("DROP FUNCTION who(int)")


def test_statistics_are_a_job_also_when_they_are_collected_automatically():
    with ScratchServer(settings={"autovacuum": "on", "autovacuum_naptime": "1s", "autovacuum_analyze_threshold": "10"}) as server:
        admin = server.connect("admin")
        admin.execute("CREATE TABLE t (id int PRIMARY KEY)")
        admin.execute("INSERT INTO t SELECT generate_series(1, 1000)")
        table = "SELECT status, class_id, object_name FROM sys.jobs WHERE job_type = 'ANALYZE' AND object_name = 'public.t'"
        admin.execute("ANALYZE t")
        assert admin.execute(table).fetchall() == [("completed", 1259, "public.t")]
        admin.execute("UPDATE t SET id = id + 10000")
        wait_until(lambda: len(admin.execute(table).fetchall()) > 1, "an automatic ANALYZE", timeout=40)


def test_ended_jobs_are_hidden_and_forgotten_after_their_time(server, admin, owner):
    old, new = submit(admin, "CREATE INDEX /*a*/ i ON t (v)"), submit_again(admin, "CREATE INDEX /*a*/ j ON t (s)")
    assert wait_for_job(admin, old) and wait_for_job(admin, new)
    wait_until(lambda: owner.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'zorya job worker'")
               .fetchone() == (0,), "the end of the workers")
    owner.execute("UPDATE sys.job_log SET update_time = update_time - interval '31 minutes' WHERE job_id = %s", [old])
    assert job(admin, old) == {} and job(admin, new) != {}
    wait_for_job(admin, submit(admin, "CREATE INDEX /*a*/ k ON t (id, v)"))
    left = {row[0] for row in owner.execute("SELECT job_id FROM sys.job_log")}
    assert old not in left and new in left


def test_rows_of_statistics_alone_are_forgotten_too(server, admin, owner):
    """No job is left for a worker, and yet the log does not grow for ever."""
    wait_for_all_jobs(server)
    admin.execute("ANALYZE t")
    owner.execute("UPDATE sys.job_log SET update_time = update_time - interval '31 minutes'")
    for _ in range(257):
        admin.execute("ANALYZE aside")
    wait_until(lambda: owner.execute("SELECT count(*) FROM sys.job_log WHERE update_time < now() - interval '30 minutes'")
               .fetchone() == (0,), "the deletion of old rows")


def test_at_rest_there_is_one_small_process(server, admin, owner):
    if server.is_sanitized():
        pytest.skip("the sanitizer keeps what was freed")
    wait_for_all_jobs(server)
    wait_until(lambda: owner.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'zorya job worker'")
               .fetchone() == (0,), "the end of the workers")
    with open(f"/proc/{launcher_of(owner)}/smaps_rollup", encoding="ascii") as rollup:
        private_kib = sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
    assert private_kib <= 1024
    assert owner.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL").fetchone() == (1,)


def test_the_role_of_jobs_may_do_nothing(owner):
    assert owner.execute("SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls FROM pg_roles "
                         "WHERE rolname = 'zorya_jobs'").fetchone() == (False,)
    assert owner.execute("SELECT count(*) FROM pg_auth_members WHERE 'zorya_jobs'::regrole IN (roleid, member)").fetchone() == (0,)
