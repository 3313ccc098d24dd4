"""The service's own words that only the session router and the gate together can say: as a client with a token reads them."""
import pathlib
import random
import sys

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.jobs import change  # noqa: E402
from support.waiting import wait_until  # noqa: E402
from support.open_change import OpenChange  # noqa: E402
from support.router import RunningRouter  # noqa: E402
from support.scratch_server import ScratchServer  # noqa: E402

OC001 = ("40001", "schema has been updated by another transaction (OC001)")


@pytest.fixture(scope="module")
def router():
    with ScratchServer(settings={"lock_timeout": "50ms"}) as server, RunningRouter(server.folder) as started:
        yield started


@pytest.fixture
def session(router):
    with router.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int, s text, CONSTRAINT c CHECK (v > 0))")
        yield connection
        connection.execute("DROP TABLE t")


def refusal(connection, statement, parameters=None) -> tuple[str, str]:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement, parameters)
    return caught.value.sqlstate, caught.value.diag.message_primary


def job_of(cursor) -> str:
    assert [column.name for column in cursor.description] == ["job_id"]
    return cursor.fetchone()[0]


def test_an_index_job_is_a_row_and_can_be_waited_for(session):
    cursor = session.execute("CREATE INDEX ASYNC i ON t (v)")
    job = job_of(cursor)
    assert cursor.statusmessage == "CREATE INDEX" and len(job) == 26
    assert job_of(session.execute("create index async if not exists i on t (v)")) == job
    assert session.execute("CALL sys.wait_for_job(%s)", (job,)).fetchone() == (True,)
    assert session.execute("SELECT status, object_name FROM sys.jobs WHERE job_id = %s", (job,)).fetchone() == \
        ("completed", "public.i")
    assert refusal(session, "CALL sys.wait_for_job('x')") == ("22P02", "Unable to convert text to UUID")


def test_a_failed_job_is_no_error_of_its_statement(session):
    session.execute("INSERT INTO t VALUES (1, 1), (2, 1)")
    job = job_of(session.execute("CREATE UNIQUE INDEX ASYNC u ON t (v)"))
    assert session.execute("CALL sys.wait_for_job(%s)", (job,)).fetchone() == (False,)


def test_a_validation_is_a_job(session):
    session.execute("ALTER TABLE t ADD CONSTRAINT positive CHECK (v > 1) NOT VALID")
    assert refusal(session, "ALTER TABLE t VALIDATE CONSTRAINT positive") == \
        ("0A000", "unsupported ALTER TABLE VALIDATE CONSTRAINT statement")
    cursor = session.execute("ALTER TABLE ASYNC t VALIDATE CONSTRAINT positive")
    assert session.execute("CALL sys.wait_for_job(%s)", (job_of(cursor),)).fetchone() == (True,)


def test_a_schema_change_passes_a_build_that_waits(router, session):
    """An idle reader elsewhere keeps the build from its end; the schema change interrupts the build, not the reader."""
    with router.connect(autocommit=True) as reader:
        reader.execute("CREATE TABLE aside (id int PRIMARY KEY)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM aside")
        session.execute("INSERT INTO t SELECT g, g, repeat('x', 200) FROM generate_series(1, 2000) g")
        job = job_of(session.execute("CREATE INDEX ASYNC i ON t (v)"))
        for column in ("a", "b"):
            wait_until(lambda: session.execute("SELECT status FROM sys.jobs WHERE job_id = %s", (job,)).fetchone() ==
                       ("processing",), "the build")
            change(session, f"ALTER TABLE t ADD COLUMN {column} int")
        assert session.execute("SELECT status FROM sys.jobs WHERE job_id = %s", (job,)).fetchone() == ("processing",)
        reader.execute("COMMIT")
        assert session.execute("CALL sys.wait_for_job(%s)", (job,)).fetchone() == (True,)
        reader.execute("DROP TABLE aside")


def test_words_that_postgresql_lacks(session):
    assert refusal(session, "AWS IAM GRANT app TO 'arn:aws:iam::111122223333:role/Example'")[0] == "0A000"
    assert refusal(session, "SELECT count(*) FROM (SELECT repeat('x', 5000) || g FROM generate_series(1, 60000) g"
                            " ORDER BY 1) x") == \
        ("54000", "query requires more than allowed temp space of 131072 KB to execute")
    session.execute("CREATE INDEX ASYNC wide ON t (s)")
    noise = random.Random(1).randbytes(4000).hex()
    assert refusal(session, "INSERT INTO t VALUES (1, 1, %s)", (noise,)) == ("54000", "key size too large")


def test_a_reader_behind_an_open_alter_is_told_to_retry(router, session):
    with router.connect(autocommit=True) as other:
        with OpenChange(other, "ALTER TABLE t ADD COLUMN w int") as change:
            assert refusal(session, "SELECT * FROM t") == OC001
            change.end()
    session.execute("SELECT w FROM t")


def test_a_stale_catalogue_is_told_once_and_with_nothing_else(router, session):
    with router.connect(autocommit=True) as other:
        other.execute("SELECT * FROM t")
        session.execute("ALTER TABLE t RENAME COLUMN v TO w")
        with pytest.raises(psycopg.Error) as caught:
            other.execute("SELECT v FROM t")  # PostgreSQL's own words end in a hint and a position
        said = caught.value.diag
        assert (said.sqlstate, said.message_primary) == OC001
        assert (said.message_hint, said.message_detail, said.statement_position) == (None, None, None)
        assert refusal(other, "SELECT v FROM t")[0] == "42703"


def test_a_commit_that_fails_leaves_an_idle_session(router, session):
    with router.connect(autocommit=True) as other:
        for prepare in (False, True):
            other.execute("BEGIN", prepare=prepare)
            other.execute("ALTER TABLE t ADD COLUMN once int", prepare=prepare)
            session.execute("ALTER TABLE t ADD COLUMN once int")
            with pytest.raises(psycopg.Error) as caught:
                other.execute("COMMIT", prepare=prepare)
            assert (caught.value.sqlstate, caught.value.diag.message_primary) == OC001
            assert other.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            assert other.execute("SELECT once FROM t").fetchall() == []
            session.execute("ALTER TABLE t DROP COLUMN once")
            assert refusal(other, "SELECT 1") == OC001


def test_the_job_of_a_block_is_the_row_of_its_statement(session):
    """The id is told inside the block, the job exists from COMMIT on, and COMMIT has no row of its own."""
    session.execute("BEGIN")
    job = job_of(session.execute("CREATE INDEX ASYNC i ON t (v)"))
    assert session.execute("SELECT count(*) FROM sys.jobs WHERE job_id = %s", (job,)).fetchone() == (0,)
    assert session.execute("COMMIT").description is None
    assert session.execute("CALL sys.wait_for_job(%s)", (job,)).fetchone() == (True,)


def test_the_version_is_the_services(session):
    assert session.info.parameter_status("server_version") == "16.15"
    assert session.execute("SELECT version()").fetchone() == ("PostgreSQL 16",)
