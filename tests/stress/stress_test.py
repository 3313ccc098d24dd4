"""Many sessions against invariants that a single lost update, orphan or duplicate breaks.

    stress_test.py [--seconds N] [--sessions N] [--seed N] [--maintenance] [--small-memory]

--maintenance runs VACUUM, REINDEX CONCURRENTLY, CREATE INDEX CONCURRENTLY, VACUUM FULL and ALTER TABLE beside the load;
--small-memory gives the adjudicator so little memory that commits are known only as a whole while an old snapshot is held.
Exit 1 and a line per broken invariant.
"""
import argparse
import os
import random
import sys
import threading
import time

import psycopg

from support.repeat import command
from support.scratch_server import ScratchServer

ACCOUNTS, BALANCE, COUNTERS, PARENTS = 40, 1000, 10, 25


class Load:
    """The shared tables, what was acknowledged, and what is wrong."""

    def __init__(self, server, sessions, seconds, seed, maintenance, small_memory):
        self.server = server
        self.sessions = sessions
        self.seconds = seconds
        self.seed = seed
        self.maintenance = maintenance
        self.small_memory = small_memory
        self.lock = threading.Lock()
        self.committed = self.refused = 0
        self.other_errors = {}
        self.increments = [0] * (COUNTERS + 1)
        self.wrong = []
        owner = server.connect("admin")
        owner.execute(f"""
            create table acc(id int primary key, b bigint, pad text);
            create index acc_b on acc(b);
            insert into acc select g, {BALANCE}, 'x' from generate_series(1, {ACCOUNTS}) g;
            create table ctr(id int primary key, n int);
            insert into ctr select g, 0 from generate_series(1, {COUNTERS}) g;
            create table uk(k int unique, w int);
            create table par(id int primary key, v int, m int);
            create index par_m on par(m);
            create table kid(id bigint primary key, p int references par on delete cascade);
            create index kid_p on kid(p);
            insert into par select g, 0, 0 from generate_series(1, {PARENTS}) g;
            create table shift(name text primary key, on_call bool);
            insert into shift values ('a', true), ('b', true)""")

    # ------------------------------------------------------------------ what a session does

    def transfer(self, run, dice):
        a, b = dice.sample(range(1, ACCOUNTS + 1), 2)
        amount = dice.randrange(1, 50)
        run("update acc set b = b - %s where id = %s", (amount, a))
        run("update acc set b = b + %s where id = %s", (amount, b))

    def count(self, run, dice):
        counter = dice.randrange(1, COUNTERS + 1)
        if dice.random() < .5:
            run("update ctr set n = n + 1 where id = %s", (counter,))
        else:
            n, = run("select n from ctr where id = %s for update", (counter,)).fetchone()
            run("update ctr set n = %s where id = %s", (n + 1, counter))
        return counter

    def unique(self, run, dice):
        key = dice.randrange(120)
        what = dice.randrange(4)
        if what == 0:
            run("delete from uk where k = %s", (key,))
        elif what == 1:
            run("insert into uk values (%s, 0)", (key,))
        elif what == 2:
            run("insert into uk values (%s, 1) on conflict (k) do update set w = uk.w + 1", (key,))
        else:
            run("update uk set k = %s where k = %s", (dice.randrange(120), key))

    def read(self, run, dice):
        total, = run("select sum(b) from acc").fetchone()
        if total != ACCOUNTS * BALANCE:
            self.wrong.append(f"a reader saw a sum of {total}")
        if run("select count(*) - count(distinct k) from uk").fetchone() != (0,):
            self.wrong.append("a reader saw a key twice")
        if run("select count(*) from kid where not exists (select 1 from par where par.id = p)").fetchone() != (0,):
            self.wrong.append("a reader saw an orphan")

    def family(self, run, dice):
        parent = dice.randrange(1, PARENTS + 1)
        what = dice.randrange(8)
        if what < 3:
            run("insert into kid values (%s, %s)", (dice.getrandbits(60), parent))
        elif what == 3:
            run("delete from par where id = %s", (parent,))
        elif what == 4:
            run("insert into par values (%s, 0, 0) on conflict do nothing", (parent,))
        elif what == 5:
            run("update par set v = v + 1 where id = %s", (parent,))
        elif what == 6:
            # Moved, and then gone: its removal is still one of the key.
            run("update par set m = m + 1 where id = %s", (parent,))
            if dice.random() < .5:
                run("delete from par where id = %s", (parent,))
        else:
            run("update kid set p = %s where p = %s", (dice.randrange(1, PARENTS + 1), parent))

    def duty(self, run, dice):
        # At least one stays on call: safe only because both are read FOR UPDATE.
        on = [name for name, on_call in run("select name, on_call from shift for update").fetchall() if on_call]
        if not on:
            self.wrong.append("nobody is on call: write skew under FOR UPDATE")
        who = dice.choice("ab")
        if who in on and len(on) == 2:
            run("update shift set on_call = false where name = %s", (who,))
        else:
            run("update shift set on_call = true where name = %s", (who,))

    def session(self, number):
        dice = random.Random(self.seed * 1000 + number)
        kinds = [self.transfer, self.count, self.unique, self.read, self.family, self.family, self.duty]
        connection = self.server.connect("admin", autocommit=False)
        while time.monotonic() < self.end and not self.wrong:
            kind = dice.choice(kinds)
            try:
                done = kind(connection.execute, dice)
                connection.commit()
                with self.lock:
                    self.committed += 1
                    if kind == self.count:
                        self.increments[done] += 1
            except psycopg.Error as error:
                connection.rollback()
                with self.lock:
                    if error.sqlstate == "40001":
                        self.refused += 1
                    else:
                        self.other_errors[error.sqlstate] = self.other_errors.get(error.sqlstate, 0) + 1

    def maintain(self):
        owner = self.server.connect()
        owner.execute("set lock_timeout = '3s'")
        dice = random.Random(self.seed)
        number = 0
        while time.monotonic() < self.end:
            number += 1
            statement = dice.choice([
                "vacuum acc", "vacuum par", "vacuum uk", "analyze kid", "reindex table concurrently par",
                "reindex table concurrently uk", "reindex index concurrently acc_b", "vacuum full ctr",
                "reindex table concurrently ctr", "vacuum freeze acc",
                f"alter table acc add column c{number} int", "create index concurrently if not exists extra on kid(p, id)",
                "drop index concurrently if exists extra",
                "create unique index concurrently if not exists extra_u on par(id, v)",
                "drop index concurrently if exists extra_u"])
            try:
                owner.execute(statement)
            except psycopg.Error as error:
                if error.sqlstate not in ("55P03", "40P01"):
                    with self.lock:
                        self.other_errors[f"{statement}: {error}"] = 1

    def hold_snapshots(self):
        """Keeps a snapshot while others commit, so that nothing they did may be forgotten; then writes. On a slow machine
        the run goes on until the memory was full once."""
        connection, owner = self.server.connect("admin", autocommit=False), self.server.connect()
        latest = self.end + 60
        dice = random.Random(self.seed)
        while time.monotonic() < self.end and not self.wrong:
            try:
                connection.execute("select 1")
                before = self.committed
                while self.committed < before + 500 and time.monotonic() < self.end:
                    time.sleep(.01)
                    if time.monotonic() > self.end - 1 and owner.execute(
                            "select commits_remembered_whole from sys.commit_stats()").fetchone() == (0,):
                        self.end = min(self.end + 1, latest)
                self.transfer(connection.execute, dice)
                connection.commit()
            except psycopg.Error as error:
                connection.rollback()
                if error.sqlstate != "40001":
                    with self.lock:
                        self.other_errors[error.sqlstate] = 1

    # ------------------------------------------------------------------ the run and the reckoning

    def run(self):
        self.end = time.monotonic() + self.seconds
        threads = [threading.Thread(target=self.session, args=(n,)) for n in range(self.sessions)]
        if self.maintenance:
            threads.append(threading.Thread(target=self.maintain))
        if self.small_memory:
            threads.append(threading.Thread(target=self.hold_snapshots))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.reckon()

    def expect(self, what, got, wanted):
        if got != wanted:
            self.wrong.append(f"{what}: {got}, not {wanted}")

    def reckon(self):
        owner = self.server.connect()
        ask = lambda sql: owner.execute(sql).fetchall()
        owner.execute("set enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off")
        self.expect("the sum of all accounts", ask("select sum(b) from acc"), [(ACCOUNTS * BALANCE,)])
        self.expect("counters", [n for n, in ask("select n from ctr order by id")], self.increments[1:])
        self.expect("keys twice", ask("select k from uk group by k having count(*) > 1"), [])
        self.expect("parents twice", ask("select id from par group by id having count(*) > 1"), [])
        self.expect("orphans", ask("select id from kid where not exists (select 1 from par where par.id = p)"), [])
        owner.execute("create extension if not exists amcheck")
        try:
            ask("""select bt_index_check(c.oid, true) from pg_class c join pg_index i on i.indexrelid = c.oid
                   where c.relam = 403 and i.indisvalid and c.relnamespace = 'public'::regnamespace""")
        except psycopg.Error as error:
            self.wrong.append(f"amcheck: {error}")
        self.stats = owner.execute("select * from sys.commit_stats()")
        names = [column.name for column in self.stats.description]
        self.stats = dict(zip(names, self.stats.fetchone()))
        self.expect("apply failures", self.stats["apply_failures"], 0)
        if self.small_memory and self.stats["commits_remembered_whole"] == 0:
            self.wrong.append("the memory was never full")
        unexpected = {state: n for state, n in self.other_errors.items() if state not in ("23505", "23503")}
        self.expect("errors of other kinds", unexpected, {})


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=8)
    options.add_argument("--sessions", type=int, default=8)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--maintenance", action="store_true")
    options.add_argument("--small-memory", action="store_true")
    options.add_argument("--plant", help="a fault that the server is to have")
    options.add_argument("--quiet-wrong", action="store_true", help="exit 0 if something is wrong, 1 if not")
    arguments = options.parse_args()
    settings = {"zorya.gate": "off", "statement_timeout": "20s", "autovacuum": "on"}
    if arguments.small_memory:
        settings["zorya.recent_keys_size"] = "16kB"
    with ScratchServer(settings=settings, plant=arguments.plant) as server:
        load = Load(server, arguments.sessions, arguments.seconds, arguments.seed, arguments.maintenance, arguments.small_memory)
        load.run()
    print(f"{load.committed} committed, {load.refused} refused (40001), others {load.other_errors}, {load.stats}")
    for wrong in load.wrong[:10]:
        print("WRONG:", wrong)
    enough = load.committed > 20 * arguments.seconds and load.refused > 0
    if not enough:
        print("WRONG: too little happened to say anything")
    if load.wrong:
        print("  again, though threads never run the same way twice:", command(__file__, *sys.argv[1:]))
    if arguments.quiet_wrong:
        return 0 if load.wrong else 1
    return 0 if enough and not load.wrong else 1


if __name__ == "__main__":
    sys.exit(main())
