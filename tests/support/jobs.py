"""Background jobs, for tests: waiting for them, holding them back, and looking at what they made."""
import contextlib
import os
import signal
import time

import psycopg

from support.waiting import wait_until

OPEN = "SELECT count(*) FROM sys.jobs WHERE status IN ('submitted', 'processing')"


def wait_for_open_jobs(connection, timeout=20.0) -> None:
    """Until no job of the connection's server is under way."""
    wait_until(lambda: connection.execute(OPEN).fetchone() == (0,), "the end of all jobs", timeout)


def wait_for_all_jobs(server, timeout=20.0) -> None:
    """The same of a scratch server, by a connection of its own."""
    with server.connect() as owner:
        wait_for_open_jobs(owner, timeout)


def submit(connection, statement) -> str:
    """Runs a statement that leaves a job; gives the job's id, as the session router gives it to a client."""
    told = []

    def take(notice):
        if notice.sqlstate == "ZR001":
            told.append(notice.message_primary)

    connection.add_notice_handler(take)
    try:
        connection.execute(statement)
    finally:
        connection.remove_notice_handler(take)
    assert len(told) == 1, told
    return told[0]


def submit_again(connection, statement) -> str:
    """The same where another job on the table may be in the way: again after OC001."""
    for _ in range(50):
        try:
            return submit(connection, statement)
        except psycopg.errors.SerializationFailure:
            time.sleep(0.02)  # the back-off of a client, not a wait for a race
    raise AssertionError(f"{statement}: OC001 again and again")


def change(connection, statement) -> float:
    """Runs a schema change as clients do, again after OC001; gives the longest try's seconds. On a busy machine a job may
    take longer to give way than a schema change waits."""
    longest = 0.0
    for _ in range(50):
        begin = time.monotonic()
        try:
            connection.execute(statement)
            return max(longest, time.monotonic() - begin)
        except psycopg.errors.SerializationFailure:
            longest = max(longest, time.monotonic() - begin)
            time.sleep(0.02)  # the back-off of a client, not a wait for a race
    raise AssertionError(f"{statement}: OC001 again and again")


def job(connection, job_id) -> dict:
    cursor = connection.execute("SELECT * FROM sys.jobs WHERE job_id = %s", [job_id])
    row = cursor.fetchone()
    return dict(zip([column.name for column in cursor.description], row)) if row else {}


def wait_for_job(connection, job_id) -> bool:
    return connection.execute("CALL sys.wait_for_job(%s)", [job_id]).fetchone()[0]


def index_state(owner, name) -> tuple[bool, bool]:
    """(valid, ready)"""
    return owner.execute("SELECT indisvalid, indisready FROM pg_index WHERE indexrelid = %s::regclass", [name]).fetchone()


def worker_waits(owner) -> bool:
    """True while a job is in one of its waits for clients."""
    return owner.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'zorya job worker' AND "
                         "wait_event = 'Extension' AND xact_start IS NOT NULL").fetchone() != (0,)


@contextlib.contextmanager
def no_job_starts(owner):
    """The launcher stands still: what is submitted here is begun after it."""
    pid = launcher_of(owner)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def launcher_of(owner) -> int:
    """The launcher's pid, by its name among the children of the server that the connection is to."""
    backend = owner.info.backend_pid
    parent = parent_of(backend)
    for entry in os.listdir("/proc"):
        if entry.isdigit() and parent_of(int(entry)) == parent and b"zorya job launcher" in command_line(int(entry)):
            return int(entry)
    raise AssertionError("no launcher")


def parent_of(pid) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return int(stat.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def command_line(pid) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            return line.read()
    except OSError:
        return b""


def check_index(owner, name) -> None:
    """Every row of the heap is in the index, and the index is in order; of one that failed and enforces, too."""
    owner.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
    with owner.transaction(force_rollback=True):
        # amcheck looks at no other; nobody else sees this.
        owner.execute("UPDATE pg_index SET indisvalid = true WHERE indexrelid = %s::regclass AND NOT indisvalid", [name])
        owner.execute("SELECT bt_index_parent_check(%s::regclass, true)", [name])


def duplicates(owner, table, columns) -> int:
    """By a sequential scan: no index has a say in it."""
    owner.execute("SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off")
    return owner.execute(f"SELECT count(*) FROM (SELECT FROM {table} WHERE {columns} IS NOT NULL "
                         f"GROUP BY {columns} HAVING count(*) > 1) d").fetchone()[0]
