"""The connection to Aurora DSQL: IAM token, TLS, retry, SnapStart."""

import os
import random
import time

import boto3
import psycopg
from aws_lambda_powertools import Logger
from psycopg import errors
from snapshot_restore_py import register_after_restore, register_before_snapshot

logger = Logger(service="todos")

ENDPOINT = os.environ["DSQL_ENDPOINT"]
REGION = os.environ["AWS_REGION"]
CA_BUNDLE = os.environ.get("PGSSLROOTCERT", "/etc/pki/tls/certs/ca-bundle.crt")
AGE_S_MAX = 55 * 60  # the service ends a session after an hour
# Many short attempts rather than few long ones: all of them end well within the function's timeout of 5 s.
ATTEMPTS_MAX = 20
BACKOFF_S_FIRST = 0.01
BACKOFF_S_MAX = 0.2

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS todos (
         id uuid PRIMARY KEY,
         title text NOT NULL,
         done boolean NOT NULL DEFAULT false,
         created_at timestamptz NOT NULL DEFAULT now(),
         updated_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX ASYNC IF NOT EXISTS todos_by_time ON todos (created_at, id)",
)

dsql = boto3.client("dsql", region_name=REGION)

_connection: psycopg.Connection | None = None
_connected_at = 0.0
_schema_made = False


def run(work):
    """Gives the result of work(connection), in which each statement is a transaction of its own.

    DSQL never makes a transaction wait for another: of two that change one row, the second fails at its COMMIT with
    SQLSTATE 40001, and is run again here. So is work whose connection broke: it may run twice, and must be such
    that twice is as good as once.
    """
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            connection = _get_connection()
            _make_schema(connection)
            return work(connection)
        except (psycopg.OperationalError, errors.UndefinedTable) as error:  # the first has 40001 in it
            if isinstance(error, errors.UndefinedTable):
                _forget_schema()
            if attempt == ATTEMPTS_MAX:
                raise
            logger.info("statement is run again", extra={"attempt": attempt, "sqlstate": error.sqlstate})
            _back_off(attempt)


def _back_off(attempt):
    # Full jitter: those that met once do not meet again.
    time.sleep(random.uniform(0, min(BACKOFF_S_MAX, BACKOFF_S_FIRST * 2**attempt)))


def _get_connection():
    global _connection
    if _connection is not None and (_connection.closed or time.monotonic() - _connected_at > AGE_S_MAX):
        close()
    if _connection is None:
        connect()
    return _connection


def connect():
    global _connection, _connected_at
    _connection = psycopg.connect(
        host=ENDPOINT,
        port=5432,
        dbname="postgres",
        user="admin",
        password=dsql.generate_db_connect_admin_auth_token(ENDPOINT, REGION),
        sslmode="verify-full",
        sslrootcert=CA_BUNDLE,
        connect_timeout=3,
        autocommit=True,
    )
    _connected_at = time.monotonic()


def close():
    global _connection
    if _connection is not None:
        _connection.close()
        _connection = None


def _make_schema(connection):
    """Makes table and index if they are absent. Of two that race, the loser gets 40001 and finds the work done when
    it runs again."""
    global _schema_made
    if _schema_made:
        return
    names = connection.execute(
        "SELECT count(*) FROM pg_class WHERE relname IN ('todos', 'todos_by_time')"
    ).fetchone()
    if names[0] < 2:
        for statement in SCHEMA:
            try:
                connection.execute(statement)
            except (errors.DuplicateTable, errors.UniqueViolation):
                pass
    _schema_made = True


def _forget_schema():
    global _schema_made
    _schema_made = False


@register_before_snapshot
def before_snapshot():
    """Uses the database once, so that all it takes is loaded in the snapshot; but a connection cannot be in one."""
    try:
        run(lambda connection: connection.execute("SELECT 1"))
    except Exception:
        logger.exception("the database could not be used before the snapshot")
    close()


@register_after_restore
def after_restore():
    """Has the connection ready before the first request. If there is none yet, the request tries again."""
    try:
        connect()
    except psycopg.OperationalError:
        logger.exception("the database could not be reached after the restore")
