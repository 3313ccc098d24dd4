"""Many crashes of one cluster, drawn from a seed: at a named place a backend, the server or everything ends, with or without the
page cache, while writers write. After each: nothing acknowledged is lost, nothing is half applied, the indexes agree.

    runs_test.py                      as many runs as there are places (a short form)
    runs_test.py --runs 1000 --state build/crash_runs.json --minutes 50
                                      the long form; the same command again goes on where it stopped
    runs_test.py --seed 7 --only 12   run 12 of that seed alone

Every 25 runs the cluster is a new one, and the old one is looked at a second time as a heap of PostgreSQL's own.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import threading
import time

import psycopg

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import writers as load  # noqa: E402
from file_layer import KILL_ITSELF, KILL_SERVER, STAND_STILL, LayeredCluster  # noqa: E402
from heap_copy import check_heap, heap_copy  # noqa: E402

from support.jobs import change, submit_again  # noqa: E402
from support.private_cluster import OWNER, scratch_folder  # noqa: E402
from support.waiting import wait_until  # noqa: E402

# query_processor/commit.cc and its neighbours in the order of a COMMIT; then the layer's own (file_layer/preload.cc).
PLACES = ["stop_before_verdict", "stop_within_decision", "stop_after_verdict", "stop_within_apply", "stop_after_apply",
          "before_log_sync", "after_log_sync", "stop_after_commit", "before_answer", "after_answer", "after_rows_sync"]
# Of a background index build on the writers' table: query_processor/jobs.
JOB_PLACES = ["job_begun", "job_before_fill", "job_after_fill", "job_before_complete", "job_before_valid", "job_done"]
ALL_PLACES = PLACES + JOB_PLACES
# What ends there, and whether the page cache does too.
ENDS = ["backend", "server", "all", "power", "power, some written"]
# Few buffers: rows are written, and not synced, all the time.
SETTINGS = {"shared_buffers": "1MB", "bgwriter_delay": "10ms", "bgwriter_lru_maxpages": "1000"}
RUNS_OF_A_CLUSTER = 25


def plan(seed, run):
    """What happens in a run: nothing else is drawn."""
    draw = random.Random(f"{seed} {run}")
    # In turn, so that a short form has every place and the long one every pair.
    place = ALL_PLACES[run % len(ALL_PLACES)]
    end = ENDS[(run + run // len(ALL_PLACES)) % len(ENDS)]
    # Commits pass by all the time, syncs of rows within a checkpoint, a job's places once.
    passages = 1 if place in JOB_PLACES else draw.randint(1, 5 if place == "after_rows_sync" else 60)
    return {"place": place, "end": end, "countdown": passages, "commits": draw.randint(10, 80),
            "cut_seed": draw.randrange(1 << 32),
            "checkpoints": place == "after_rows_sync" or draw.random() < 0.3}


class Checkpoints:
    """CHECKPOINT after CHECKPOINT, until the server ends it."""

    def __init__(self, layered, wanted):
        self.layered = layered
        self.wanted = wanted
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.layered.control.disarm()
        self.thread.join(timeout=30)

    def _run(self):
        try:
            with self.layered.connect(OWNER, autocommit=True) as owner:
                while self.wanted and self.layered.control.armed:
                    owner.execute("CHECKPOINT")
        except psycopg.Error:
            pass


def crash(layered, run):
    """The run's end of things at the run's place. Comes back when the server serves again."""
    at_once = {"backend": KILL_ITSELF, "server": KILL_SERVER}
    layered.arm(run["place"], at_once.get(run["end"], STAND_STILL), run["countdown"])
    before = layered.postmaster()
    with Checkpoints(layered, run["checkpoints"]):
        job_id = submit_job(layered) if run["place"] in JOB_PLACES else None
        layered.wait_until_reached()
        lost = {}
        if run["end"] == "all":
            layered.kill_everything()
        elif run["end"].startswith("power"):
            lost = layered.power_cut(run["cut_seed"], some=run["end"] != "power")
        elif run["end"] == "server":
            wait_until(lambda: layered.clusters.info()["postmaster_pid"] not in (0, before), timeout=60, what="the restart")
    layered.owner().close()
    if run["place"] in JOB_PLACES:
        wait_until(lambda: job_status(layered, job_id) == "completed", timeout=60, what="the end of the killed job")
    return lost


def submit_job(layered):
    """The job's id, or nothing if its end came before the answer."""
    try:
        with layered.connect(autocommit=True) as connection:
            return submit_again(connection, "CREATE INDEX /*a*/ of_a_job ON entries (n)")
    except psycopg.OperationalError as error:
        assert error.sqlstate != "40001", error
        return None


def job_status(layered, job_id):
    """Nothing while the server is not there: what it waits for may be killed by the job's own end."""
    try:
        with layered.connect(autocommit=True) as connection:
            row = connection.execute("SELECT status, details FROM sys.jobs WHERE job_type = 'INDEX_BUILD' AND coalesce(job_id = %s, true)"
                                     " ORDER BY start_time DESC LIMIT 1", (job_id,)).fetchone()
    except psycopg.OperationalError:
        return None
    assert row and row[0] != "failed", row
    return row[0]


def one_run(layered, writers, run):
    with writers:
        writers.wait_for_more(run["commits"])
        lost = crash(layered, run)
        writers.wait_for_more(run["commits"] // 4)
    assert not writers.errors, writers.errors[0]
    with layered.owner() as owner:
        load.check(owner, writers)
        load.check_hot(owner, writers)
        load.check_no_duplicates(owner)
        assert load.check_indexes(owner) == (6 if run["place"] in JOB_PLACES else 5)
        assert owner.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (0,)
    if run["place"] in JOB_PLACES:
        with layered.connect(autocommit=True) as connection:
            change(connection, "DROP INDEX of_a_job")
    return lost


class Bench:
    """The cluster of up to RUNS_OF_A_CLUSTER runs."""

    def __init__(self, settings):
        self.place = scratch_folder()
        self.layered = LayeredCluster(self.place, settings=settings).__enter__()
        with self.layered.owner() as owner:
            owner.execute(load.SCHEMA)
        self.writers = load.Writers(self.layered.connect, count=6)

    def look_again(self):
        """In order to the end, and the second opinion."""
        self.layered.clusters.stop()
        with heap_copy(self.layered.folder, self.place) as connection:
            assert check_heap(connection) == 3
            load.check(connection, self.writers)
            load.check_no_duplicates(connection)

    def close(self, keep):
        self.layered.__exit__(AssertionError if keep else None, None, None)
        if keep:
            print(f"kept: {self.place}")
        else:
            shutil.rmtree(self.place, ignore_errors=True)


def go_on(arguments, state):
    deadline = time.monotonic() + arguments.minutes * 60
    settings = SETTINGS | dict(setting.split("=", 1) for setting in arguments.setting)
    bench = None
    numbers = [arguments.only] if arguments.only is not None else range(state["done"], arguments.runs)
    for number in numbers:
        if time.monotonic() > deadline:
            break
        run = plan(state["seed"], number)
        bench = bench or Bench(settings)
        begin = time.monotonic()
        sound = False
        try:
            lost = one_run(bench.layered, bench.writers, run)
            last = number == numbers[-1] or time.monotonic() > deadline
            if last or (number + 1) % RUNS_OF_A_CLUSTER == 0:
                bench.look_again()
                bench.close(keep=False)
                bench = None
            sound = True
        finally:
            if not sound:
                print(f"WRONG in run {number}: {run}\nrepeat with --seed {state['seed']} --only {number}, or all before it with "
                      f"--seed {state['seed']} --runs {number + 1}", flush=True)
                if bench:
                    bench.close(keep=arguments.keep)
        for name, value in lost.items():
            state[name] = state.get(name, 0) + value
        state["done"] = number + 1
        print(f"run {number}: {run['end']} at {run['place']} {lost or ''} {time.monotonic() - begin:.1f} s", flush=True)
        if arguments.state:
            arguments.state.write_text(json.dumps(state) + "\n")
    if bench:
        bench.close(keep=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=len(ALL_PLACES))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--only", type=int)
    parser.add_argument("--minutes", type=float, default=50)
    parser.add_argument("--state", type=pathlib.Path, help="what was done; goes on from there")
    parser.add_argument("--setting", action="append", default=[], help="NAME=VALUE above the server's: a planted fault")
    parser.add_argument("--keep", action="store_true", help="the folder of a run that went wrong")
    arguments = parser.parse_args()
    state = {"seed": random.randrange(1 << 32) if arguments.seed is None else arguments.seed, "done": 0}
    if arguments.state and arguments.state.exists():
        state = json.loads(arguments.state.read_text())
    print(f"seed {state['seed']}, from run {state['done']}", flush=True)
    go_on(arguments, state)
    print(json.dumps(state))
    if arguments.only is None and state["done"] < arguments.runs:
        print(f"{state['done']} of {arguments.runs} runs are done; the same command goes on")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.chdir("/")
    main()
