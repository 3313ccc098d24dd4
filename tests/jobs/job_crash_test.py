"""Jobs across the server's end: whatever dies, the job goes on after it, and the index holds what its table does.

JOBS_KILLS=n kills that often at random moments (3 in CI); JOBS_SEED repeats a run.
"""
import contextlib
import os
import pathlib
import random
import signal
import sys
import threading
import time

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.jobs import (OPEN, change, check_index, index_state, job, submit, wait_for_all_jobs, wait_for_job,  # noqa: E402
                          worker_waits)
from support.waiting import wait_until  # noqa: E402
from support.scratch_server import ScratchServer  # noqa: E402

STOP_POINTS = ["job_begun", "job_before_fill", "job_after_fill", "job_before_complete", "job_before_valid", "job_done"]


def make_table(session):
    session.execute("CREATE TABLE t (id int PRIMARY KEY, v int, s text)")
    session.execute("INSERT INTO t SELECT g, g, repeat('x', 100) FROM generate_series(1, 3000) g")


def nothing_is_left_beside(owner):
    assert owner.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (0,)
    assert owner.execute("SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_ccnew%' OR relname LIKE '%\\_ccold%'").fetchone() == (0,)


def try_connect(server, user):
    try:
        return server.connect(user)
    except psycopg.OperationalError:
        return None


def is_lost(connection):
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


@pytest.fixture(scope="module")
def planted():
    """One data folder for all: making one takes longer than a job."""
    with ScratchServer(plant="") as server:
        yield server


def start_with(server, point):
    server.stop("immediate")  # it may be starting anew by now
    server.plant = point
    server.start()


def submit_to_its_end(session, statement):
    """The job's id, or None if the job ended the server before the client had its answer."""
    try:
        return submit(session, statement)
    except psycopg.OperationalError:
        return None


def newest_job(session):
    return session.execute("SELECT job_id FROM sys.jobs ORDER BY start_time DESC LIMIT 1").fetchone()[0]


@pytest.mark.parametrize("point", STOP_POINTS)
def test_a_job_that_is_killed_at_a_point_goes_on_after_the_next_start(planted, point):
    start_with(planted, point)
    kills = planted.log().count("terminated by signal 9")
    admin = planted.connect("admin")
    make_table(admin)
    job_id = submit_to_its_end(admin, "CREATE UNIQUE INDEX /*a*/ u ON t (v)")
    wait_until(lambda: planted.log().count("terminated by signal 9") > kills, "the kill")
    start_with(planted, "")
    admin, owner = planted.connect("admin"), planted.connect()
    job_id = job_id or newest_job(owner)
    assert wait_for_job(admin, job_id)
    assert index_state(owner, "u") == (True, True)
    check_index(owner, "u")
    nothing_is_left_beside(owner)
    admin.execute("INSERT INTO t VALUES (-1, -1, '')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        admin.execute("INSERT INTO t VALUES (-2, -1, '')")
    change(admin, "DROP TABLE t")


def test_a_job_that_always_kills_its_server_is_given_up():
    with ScratchServer(plant="job_after_fill") as server:
        admin = server.connect("admin")
        make_table(admin)
        job_id = submit_to_its_end(admin, "CREATE INDEX /*a*/ i ON t (v)")
        told = end_of(server, job_id or over_deaths(server, "the job", newest_job))
        assert (told["status"], told["details"]) == ("failed", "The job was interrupted too often.")
        admin = server.connect("admin")
        admin.execute("INSERT INTO t VALUES (-1, -1, '')")
        admin.execute("DROP INDEX i")


@pytest.mark.parametrize("how", ["fast", "immediate", "kill"])
def test_a_restart_in_the_middle_of_a_build(planted, how):
    start_with(planted, "")
    admin, owner, reader = planted.connect("admin"), planted.connect(), planted.connect("admin")
    make_table(admin)
    reader.execute("BEGIN; SELECT * FROM t")
    job_id = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")
    wait_until(lambda: worker_waits(owner), "the wait for the reader")
    admin.execute("INSERT INTO t VALUES (-1, -1, '')")
    planted.stop(how)
    start_again(planted)
    admin, owner = planted.connect("admin"), planted.connect()
    admin.execute("INSERT INTO t VALUES (-2, -2, '')")
    assert wait_for_job(admin, job_id)
    check_index(owner, "i")
    nothing_is_left_beside(owner)
    change(admin, "DROP TABLE t")


def test_killed_workers_are_replaced():
    """SIGKILL takes every session with it, SIGTERM only the worker; both times the job goes on by itself."""
    with ScratchServer() as server:
        admin = server.connect("admin")
        make_table(admin)
        job_id = submit_held(server, "CREATE INDEX /*a*/ i ON t (v)")
        for how in (signal.SIGTERM, signal.SIGKILL):
            owner = server.connect()
            reader = server.connect("admin")
            reader.execute("BEGIN; SELECT * FROM t")
            wait_until(lambda: worker_waits(owner), "a wait of the job")
            pid = owner.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'zorya job worker'").fetchone()[0]
            os.kill(pid, how)
            if how == signal.SIGKILL:
                wait_until(lambda: is_lost(owner), "the death of every session")
                wait_until(lambda: try_connect(server, "admin"), "a server that serves again")
            else:
                wait_until(lambda: owner.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = "
                                                 "'zorya job worker' AND pid <> %s", [pid]).fetchone() == (1,), "another worker")
        admin = server.connect("admin")
        assert wait_for_job(admin, job_id)
        assert admin.execute(OPEN).fetchone() == (0,)
        wait_for_all_jobs(server)


class Writer(threading.Thread):
    """Writes for ever, over the server's deaths."""

    def __init__(self, server, number):
        super().__init__()
        self.server, self.number, self.stopped = server, number, threading.Event()

    def run(self):
        n = 0
        while not self.stopped.is_set():
            try:
                with psycopg.connect(host=str(self.server.folder), port=5432, user="admin", dbname="postgres",
                                     autocommit=True, connect_timeout=10) as session:
                    while not self.stopped.is_set():
                        n += 1
                        session.execute("INSERT INTO t VALUES (%s, %s, 'x')", [-10 * n - self.number, -10 * n - self.number])
                        session.execute("UPDATE t SET v = %s WHERE id = %s", [10**6 * self.number + n, n])
                        session.execute("DELETE FROM t WHERE id = %s", [-10 * (n // 2) - self.number])
            except psycopg.Error:
                self.stopped.wait(0.01)  # the server is starting again, or a schema change came first


def test_kills_at_random_moments():
    kills, seed = int(os.environ.get("JOBS_KILLS", "3")), int(os.environ.get("JOBS_SEED", str(random.randrange(10**6))))
    draw = random.Random(seed)
    print(f"JOBS_SEED={seed}")
    with ScratchServer(settings={"lock_timeout": "50ms", "deadlock_timeout": "10ms"}) as server:
        make_table(server.connect("admin"))
        writers = [Writer(server, number) for number in (1, 2)]
        for writer in writers:
            writer.start()
        try:
            for turn in range(kills):
                build = draw.choice(["CREATE UNIQUE INDEX", "CREATE INDEX"]) + f" /*a*/ i{turn} ON t (v)"
                job_id = over_deaths(server, build, lambda session, build=build: submit(session, build), errors=psycopg.Error)
                time.sleep(draw.uniform(0, 0.1))
                kill_something(server, draw)
                assert end_of(server, job_id)["status"] == "completed"
                over_deaths(server, f"a check of i{turn}", lambda owner, turn=turn: check_index(owner, f"i{turn}") or True,
                            user="zorya_owner")
                drop = f"DROP INDEX IF EXISTS i{turn}"
                over_deaths(server, drop, lambda session, drop=drop: session.execute(drop), errors=psycopg.Error)
        finally:
            for writer in writers:
                writer.stopped.set()
            for writer in writers:
                writer.join(20)
        nothing_is_left_beside(server.connect())
        assert "TRAP:" not in server.log()  # nor did it die by itself, where it has assertions


def kill_something(server, draw):
    """A worker, any backend, or the postmaster and all of its processes."""
    if draw.random() < 0.3:
        server.stop("kill")
        return start_again(server)
    with psycopg.connect(host=str(server.folder), port=5432, user="zorya_owner", dbname="postgres", autocommit=True) as owner:
        victims = owner.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'zorya job worker'").fetchall() or \
            owner.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'admin'").fetchall()
        if victims:
            with contextlib.suppress(ProcessLookupError):  # a worker may have ended just now
                os.kill(draw.choice(victims)[0], signal.SIGKILL)


def start_again(server):
    """Processes that were being born when their parent was killed hold its memory for a moment."""
    for _ in range(20):
        try:
            return server.start()
        except RuntimeError:
            time.sleep(0.2)
    server.start()


def over_deaths(server, what, ask, user="admin", errors=psycopg.OperationalError):
    """What `ask` gives of a session of its own; asked again after errors, with which a death may be noticed only now, and
    while it gives nothing."""
    def attempt():
        try:
            with psycopg.connect(host=str(server.folder), port=5432, user=user, dbname="postgres", autocommit=True) as session:
                return ask(session)
        except errors:
            return None

    return wait_until(attempt, what, timeout=60)


def end_of(server, job_id):
    """The job as it is when it has ended."""
    def ended(session):
        told = job(session, job_id)
        return told if told.get("status") not in ("submitted", "processing") else None

    return over_deaths(server, "the end of the job", ended)


def submit_held(server, statement):
    """With a reader that keeps the build from its end until its session is gone."""
    holder = server.connect("admin")
    holder.execute("BEGIN; SELECT * FROM t")
    return submit(server.connect("admin"), statement)
