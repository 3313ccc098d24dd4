"""Losers leave dead rows: does vacuum keep up where everybody wants the same few keys?

    hot_key_test.py [--seconds N] [--sessions N] [--naptime S] [--no-vacuum]

The sessions move, replace and insert the same five keys; most of their COMMITs lose. The long form is --seconds 3600
--naptime 60 (a cluster's own setting). Sizes are printed as they are measured; exit 1 if the tables grow in the second half
of the run by more than the rows that are made between two rounds of autovacuum, or if more rows are dead than three rounds
leave time for, as with --no-vacuum.
"""
import argparse
import random
import sys
import threading
import time

import psycopg

from support.scratch_server import ScratchServer

KEYS = 5
STATEMENTS = (
    "update hot set m = m + 1 where id = {k}",                                   # moves the row: a loser leaves a dead one
    "update hot set v = v + 1 where id = {k}",                                   # leaves nothing
    "delete from hot where id = {k}; insert into hot values ({k}, {n}, 0)",      # replaces it
    "insert into hot values ({k}, 0, 1) on conflict (id) do update set m = hot.m + 1",
    "insert into fresh values ({n}, repeat('f', 200)); delete from fresh where id < {n} - 3",
)


class Run:
    def __init__(self, server, arguments):
        self.server = server
        self.arguments = arguments
        self.end = time.monotonic() + arguments.seconds
        self.interval = .25 if arguments.seconds < 60 else 10
        self.lock = threading.Lock()
        self.committed = self.refused = 0
        self.next_key = 0
        self.errors = set()
        owner = server.connect("admin")
        owner.execute("create table hot(id int primary key, v int, m int)")
        owner.execute("create index /*a*/ hot_m on hot(m)")
        owner.execute("create table fresh(id int primary key, pad text)")
        owner.execute(f"insert into hot select g, 0, 0 from generate_series(1, {KEYS}) g")

    def session(self, number):
        dice = random.Random(number)
        connection = self.server.connect("admin")
        while time.monotonic() < self.end:
            sql = dice.choice(STATEMENTS)
            if "fresh" in sql and dice.random() < .5:
                self.next_key += 1  # the others are at the same key; a race for the number is welcome
            try:
                connection.execute("begin")
                connection.execute(sql.format(k=dice.randint(1, KEYS), n=self.next_key))
                connection.execute("commit")
                with self.lock:
                    self.committed += 1
            except psycopg.Error as error:
                connection.execute("rollback")
                with self.lock:
                    self.refused += error.sqlstate == "40001"
                    if error.sqlstate not in ("40001", "23505"):
                        self.errors.add(str(error))

    def sizes(self, owner):
        return owner.execute("""select sum(pg_total_relation_size(relid))::bigint, sum(n_dead_tup)::bigint,
                                       sum(n_tup_ins + n_tup_upd - n_tup_hot_upd)::bigint, sum(autovacuum_count)::bigint
                                from pg_stat_user_tables where relname in ('hot', 'fresh')""").fetchone()

    def run(self):
        threads = [threading.Thread(target=self.session, args=(n,)) for n in range(self.arguments.sessions)]
        for thread in threads:
            thread.start()
        owner = self.server.connect()
        samples = []
        while time.monotonic() < self.end:
            time.sleep(min(self.interval, max(0, self.end - time.monotonic())))
            samples.append(self.sizes(owner))
            if self.arguments.seconds >= 60:
                print("size %d KiB, dead %d, rows made %d, vacuums %d" % (samples[-1][0] // 1024, *samples[-1][1:]), flush=True)
        for thread in threads:
            thread.join()
        return samples


def most_made(samples, length):
    """The rows that were made within `length` samples that follow each other, at most."""
    made = [sample[2] for sample in samples]
    return max(after - before for before, after in zip(made, made[length:]))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--sessions", type=int, default=6)
    options.add_argument("--naptime", type=int, default=1)
    options.add_argument("--no-vacuum", action="store_true")
    arguments = options.parse_args()
    if arguments.seconds < 8 * arguments.naptime:
        options.error("a run shorter than eight naps shows nothing")
    settings = {"autovacuum": "off" if arguments.no_vacuum else "on", "autovacuum_max_workers": "1",
                "autovacuum_naptime": f"{arguments.naptime}s", "statement_timeout": "20s", "lock_timeout": "50ms"}
    with ScratchServer(settings=settings) as server:
        run = Run(server, arguments)
        samples = run.run()
    halves = samples[:len(samples) // 2], samples[len(samples) // 2:]
    first, second = (max(size for size, *_ in half) for half in halves)
    # A table is as large as what is made in a nap; a machine that gets idle makes more of it.
    made_first, made_second = (most_made(half, int(arguments.naptime / run.interval)) for half in halves)
    size_max = 1.25 * first * max(1, made_second / made_first) + (256 << 10)
    size, dead, made, vacuums = samples[-1]
    print(f"{run.committed} committed, {run.refused} refused, {made} rows made, {dead} of them dead now, {vacuums} vacuums;"
          f" largest size {first // 1024} KiB in the first half, {second // 1024} KiB in the second")
    enough = run.refused > 20 * arguments.seconds
    # What is made in three naps, and in the two seconds that a busy machine may be late.
    dead_max = made / arguments.seconds * (3 * arguments.naptime + 2)
    for wrong in ([f"errors: {run.errors}"] if run.errors else []) + \
            ([f"{dead} dead rows, more than {dead_max:.0f}"] if dead > dead_max else []) + \
            ([f"the tables grow from {first} to {second} bytes, more than {size_max:.0f}"] if second > size_max else []) + \
            ([] if enough else ["too few lost to say anything"]):
        print("WRONG:", wrong)
        enough = False
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
