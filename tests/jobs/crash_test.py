"""Jobs across the server's end: whatever dies, the job goes on after it, and the index holds what its table does."""
import os
import pathlib
import signal
import sys

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.jobs import (OPEN, check_index, index_state, job, submit, wait_for_all_jobs, wait_for_job,  # noqa: E402
                          wait_until, worker_waits)
from support.scratch_server import ScratchServer, build_folder  # noqa: E402

PLANTED = build_folder() / "lib" / "planted"
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


@pytest.mark.parametrize("point", STOP_POINTS)
def test_a_job_that_is_killed_at_a_point_goes_on_after_the_next_start(point):
    with ScratchServer(module=PLANTED, environment={"ZORYA_PLANT": point}) as server:
        admin = server.connect("admin")
        make_table(admin)
        job_id = submit(admin, "CREATE UNIQUE INDEX /*a*/ u ON t (v)")
        wait_until(lambda: "terminated by signal 9" in server.log(), "the kill")
        server.stop("immediate")  # it may be starting anew by now
        server.environment.pop("ZORYA_PLANT")
        server.start()
        admin, owner = server.connect("admin"), server.connect()
        assert wait_for_job(admin, job_id)
        assert index_state(owner, "u") == (True, True)
        check_index(owner, "u")
        nothing_is_left_beside(owner)
        admin.execute("INSERT INTO t VALUES (-1, -1, '')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            admin.execute("INSERT INTO t VALUES (-2, -1, '')")


def test_a_job_that_always_kills_its_server_is_given_up():
    with ScratchServer(module=PLANTED, environment={"ZORYA_PLANT": "job_after_fill"}) as server:
        admin = server.connect("admin")
        make_table(admin)
        job_id = submit(admin, "CREATE INDEX /*a*/ i ON t (v)")

        def outcome():
            try:
                with psycopg.connect(host=str(server.folder), port=5432, user="admin", dbname="postgres", autocommit=True) as now:
                    return job(now, job_id).get("status") == "failed" and job(now, job_id)
            except psycopg.OperationalError:
                return None

        assert wait_until(outcome, "the end of trying", timeout=60)["details"] == "The job was interrupted too often."
        admin = server.connect("admin")
        admin.execute("INSERT INTO t VALUES (-1, -1, '')")
        admin.execute("DROP INDEX i")


@pytest.mark.parametrize("how", ["fast", "immediate", "kill"])
def test_a_restart_in_the_middle_of_a_build(how):
    with ScratchServer() as server:
        admin, owner, reader = server.connect("admin"), server.connect(), server.connect("admin")
        make_table(admin)
        reader.execute("BEGIN; SELECT * FROM t")
        ids = [submit(admin, "CREATE INDEX /*a*/ i ON t (v)")]
        wait_until(lambda: worker_waits(owner), "the wait for the reader")
        admin.execute("INSERT INTO t VALUES (-1, -1, '')")
        server.stop(how)
        server.start()
        admin, owner = server.connect("admin"), server.connect()
        admin.execute("INSERT INTO t VALUES (-2, -2, '')")
        assert all(wait_for_job(admin, job_id) for job_id in ids)
        check_index(owner, "i")
        nothing_is_left_beside(owner)


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
                wait_until(lambda: try_connect(server, "admin"), "a server that serves again")
            else:
                wait_until(lambda: owner.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = "
                                                 "'zorya job worker' AND pid <> %s", [pid]).fetchone() == (1,), "another worker")
        admin = server.connect("admin")
        assert wait_for_job(admin, job_id)
        assert admin.execute(OPEN.replace("sys.job_log", "sys.jobs")).fetchone() == (0,)
        wait_for_all_jobs(server)


def submit_held(server, statement):
    """With a reader that keeps the build from its end until its session is gone."""
    holder = server.connect("admin")
    holder.execute("BEGIN; SELECT * FROM t")
    return submit(server.connect("admin"), statement)
