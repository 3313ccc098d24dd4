"""Index builds against open writers: a valid unique index never holds a duplicate, and an index holds what its table does.

The module with planted faults shows that these tests can fail. JOBS_ROUNDS=n makes the random part longer (2 in CI).
"""
import os
import pathlib
import random
import sys
import threading
import time

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.jobs import (change, check_index, duplicates, index_state, job, no_job_starts, submit,  # noqa: E402
                          wait_for_all_jobs, wait_for_job, worker_waits)
from support.waiting import wait_until  # noqa: E402
from support.scratch_server import ScratchServer  # noqa: E402

ROUNDS = int(os.environ.get("JOBS_ROUNDS", "2"))
SETTINGS = {"lock_timeout": "50ms"}


def make_table(session, rows=3000):
    session.execute("CREATE TABLE t (id int PRIMARY KEY, v int, s text)")
    session.execute(f"INSERT INTO t SELECT g, g, repeat('x', 100) FROM generate_series(1, {rows}) g")


def run_the_race(server):
    """Two rows with one key, and no moment at which anybody could have seen that:

    X, open before the build begins, holds it before its fill. A and Z begin then: the index is not ready, so the row of A
    with the key gets no entry; nor does the fill see it. X ends: fill, ready, and the build waits for A and Z. A commits.
    B begins now: the index is ready and lacks A's row, B sees that row as committed, so that neither the index nor the
    adjudicator has a reason to refuse B's row with the same key. Z ends, and the build adds A's row while B is open.
    """
    admin, owner = server.connect("admin"), server.connect()
    make_table(admin)
    x, a, z, b = (server.connect("admin") for _ in range(4))
    with no_job_starts(owner):
        job_id = submit(admin, "CREATE UNIQUE INDEX /*a*/ u ON t (v)")
        x.execute("BEGIN; INSERT INTO t VALUES (-1, -1, '')")
    wait_until(lambda: worker_waits(owner), "the wait for X")
    assert index_state(owner, "u") == (False, False)
    a.execute("BEGIN; INSERT INTO t VALUES (-10, -10, '')")
    z.execute("BEGIN; INSERT INTO t VALUES (-3, -3, '')")
    x.execute("COMMIT")
    wait_until(lambda: index_state(owner, "u") == (False, True), "the fill")
    a.execute("COMMIT")
    b.execute("BEGIN; INSERT INTO t VALUES (-11, -10, '')")
    z.execute("COMMIT")
    return job_id, admin, owner, b


def test_two_rows_that_never_met_fail_the_build():
    with ScratchServer(settings=SETTINGS) as server:
        job_id, admin, owner, b = run_the_race(server)
        wait_until(lambda: worker_waits(owner), "the wait for B")
        assert job(admin, job_id)["status"] == "processing"
        b.execute("COMMIT")
        assert not wait_for_job(admin, job_id)
        assert job(admin, job_id)["details"] == "Found duplicate key while validating index for UCVs"
        assert index_state(owner, "u") == (False, True)
        assert duplicates(owner, "t", "v") == 1
        check_index(owner, "u")


def test_two_rows_that_never_met_are_no_matter_if_one_goes_back():
    with ScratchServer(settings=SETTINGS) as server:
        job_id, admin, owner, b = run_the_race(server)
        b.execute("ROLLBACK")
        assert wait_for_job(admin, job_id)
        check_index(owner, "u")


@pytest.mark.parametrize("fault", ["job_waits_for_nobody", "job_skips_duplicates"])
def test_a_build_that_does_not_look_well_is_found(fault):
    with ScratchServer(settings=SETTINGS, plant=fault) as server:
        job_id, admin, owner, b = run_the_race(server)
        if fault == "job_waits_for_nobody":
            wait_until(lambda: index_state(owner, "u") == (True, True), "the end of the build")
        b.execute("COMMIT")
        wait_for_job(admin, job_id)
        assert index_state(owner, "u") == (True, True) and duplicates(owner, "t", "v") == 1


def test_a_build_that_checks_as_it_adds_is_found():
    """It leaves an index without all rows behind, which does not enforce."""
    with ScratchServer(settings=SETTINGS, plant="job_checks_at_once") as server:
        job_id, admin, _, b = run_the_race(server)
        b.execute("COMMIT")
        assert not wait_for_job(admin, job_id)
        assert job(admin, job_id)["details"] != "Found duplicate key while validating index for UCVs"


class Writer(threading.Thread):
    """Short and longer transactions of inserts, updates and deletes with keys of a small range."""

    def __init__(self, server, seed, stop, key_max):
        super().__init__()
        self.session = server.connect("admin")
        self.random = random.Random(seed)
        self.stop, self.key_max = stop, key_max
        self.errors, self.committed = [], 0

    def statement(self):
        draw = self.random
        row = draw.randrange(3000)
        return draw.choice([
            f"INSERT INTO t VALUES ({draw.randrange(10000, 10**9)}, {draw.randrange(self.key_max)}, 'x')",
            f"UPDATE t SET v = {draw.randrange(self.key_max)} WHERE id = {row}",
            f"UPDATE t SET s = 'y' WHERE id = {row}",
            f"DELETE FROM t WHERE id = {row}"])

    def run(self):
        while not self.stop.is_set():
            try:
                with self.session.transaction():
                    for _ in range(self.random.randrange(1, 5)):
                        self.session.execute(self.statement())
                        if self.random.random() < 0.2:
                            time.sleep(0.005)  # think time: transactions that stay open for a while
                self.committed += 1
            except (psycopg.errors.SerializationFailure, psycopg.errors.UniqueViolation, psycopg.errors.LockNotAvailable):
                pass
            except psycopg.Error as error:
                self.errors.append(error)
                return


@pytest.mark.parametrize("key_max", [10**9, 20000], ids=["few duplicates", "some duplicates"])
def test_indexes_hold_what_their_tables_do_while_writers_go_on(key_max):
    with ScratchServer(settings=SETTINGS) as server:
        admin, owner = server.connect("admin"), server.connect()
        outcomes = []
        for turn in range(ROUNDS):
            make_table(admin)
            stop = threading.Event()
            writers = [Writer(server, 100 * turn + i, stop, key_max) for i in range(3)]
            for writer in writers:
                writer.start()
            ids = {}
            try:
                for name, statement in {"u": "CREATE UNIQUE INDEX /*a*/ u ON t (v)", "i": "CREATE INDEX /*a*/ i ON t (s, v)",
                                        "p": "CREATE UNIQUE INDEX /*a*/ p ON t (v) WHERE id % 2 = 0"}.items():
                    ids[name] = submit_beside_writers(admin, statement)
                outcomes += [wait_for_job(admin, job_id) for job_id in ids.values()]
            finally:
                stop.set()
                for writer in writers:
                    writer.join(20)
            assert [error for writer in writers for error in writer.errors] == []
            assert all(writer.committed for writer in writers)
            for name in ids:
                valid, ready = index_state(owner, name)
                assert ready and valid == (job(admin, ids[name])["status"] == "completed")
                check_index(owner, name)
            if index_state(owner, "u")[0]:
                assert duplicates(owner, "t", "v") == 0
            if index_state(owner, "p")[0]:
                assert duplicates(owner, "(SELECT * FROM t WHERE id % 2 = 0) t", "v") == 0
            change(admin, "DROP TABLE t")
            wait_for_all_jobs(server)
        assert outcomes.count(True) >= ROUNDS
        assert owner.execute("SELECT apply_failures FROM sys.commit_stats()").fetchone() == (0,)


def submit_beside_writers(connection, statement):
    for _ in range(400):
        try:
            return submit(connection, statement)
        except psycopg.errors.SerializationFailure:
            time.sleep(0.003)  # a client's back-off; here nobody ends open writers for it
    raise AssertionError("no gap between the writers")
