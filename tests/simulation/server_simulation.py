"""The real server against the model, from a seed.

    server_simulation.py [--seed N] [--seeds N] [--steps N] [--sessions N] [--plant FAULT [--prove]] [--verbose]

Several sessions are driven by one thread, a statement at a time in an order that only the seed decides; nothing waits, so
this needs no threads and is the same in every run. Each answer and the outcome of each COMMIT must be the model's, in both
directions: no conflict missed, none needless. Now and then all end, the tables are compared and vacuumed.
Exit 1 and what differed, with the command that repeats it.
"""
import argparse
import random
import sys
from decimal import Decimal

import psycopg

from model import COLUMNS, KEY_SHARE, NO_KEY_UPDATE, SCHEMA, SHARE, UPDATE, Database, Refused, Transaction, as_rows, normalized
from support.repeat import command
from support.scratch_server import ScratchServer
from support.stopwatch import Stopwatch

PLANS = ["enable_seqscan = off", "enable_indexscan = off; set enable_indexonlyscan = off; set enable_seqscan = off",
         "enable_indexscan = off; set enable_bitmapscan = off", "enable_bitmapscan = off; set enable_seqscan = off"]
CLAUSES = [("for update", UPDATE), ("for no key update", NO_KEY_UPDATE), ("for share", SHARE), ("for key share", KEY_SHARE)]
NUMBERS = ["1", "1.0", "1.00", "2", "2.0", "2.00", "3.0", "3.00"]
WORDS = ["a", "A", "b", "B", "c", "C"]
KIDS = ["kc", "kd", "kn", "kx"]
LIST = {table: ", ".join((*(["id"] if table != "o" else []), *columns)) for table, columns in COLUMNS.items()}
WITH_ID = [table for table in COLUMNS if table != "o"]
FIND_S_MAX = 60  # for a planted fault, however busy the machine


class Different(Exception):
    pass


class Simulation:
    def __init__(self, server, seed, sessions, verbose):
        self.dice = random.Random(seed)
        self.verbose = verbose
        self.owner = server.connect()
        self.sessions = [server.connect("admin") for _ in range(sessions)]
        self.sessions[0].execute(f"create schema seed_{seed}")
        for session in [self.owner, *self.sessions]:
            session.execute(f"set search_path = seed_{seed}")
        self.sessions[0].execute(SCHEMA)
        self.database = Database()
        self.open = {}  # number of the session: its transaction, or None before its first statement
        for number, session in enumerate(self.sessions):
            session.execute("set " + PLANS[number % len(PLANS)])
        self.tally = dict.fromkeys(["statements", "refused", "committed", "lost"], 0)
        self.sessions[0].execute("insert into p select g, 0, g % 4 from generate_series(0, 9) g")
        self.database.rows["p"] = {g: {"v": 0, "m": g % 4} for g in range(10)}

    def choose_theme(self):
        """What the next round is about, so that its transactions meet: a few rows and a few kinds of statements."""
        self.rows = self.dice.sample(range(10), self.dice.choice([2, 4, 8]))
        self.parents = [0, *self.dice.sample(range(1, 12), self.dice.choice([1, 2, 4]))]
        self.kid_tables = self.dice.choice([["kc"], ["kd"], ["kn"], ["kx"], KIDS])
        family = [self.write_parent, self.write_kid]
        self.kinds, = self.dice.choices(
            [family, [*family, self.mark], [self.fall_back], [self.write_unique], [self.write_unique, self.mark],
             [self.write_plain], [self.write_plain, self.mark_plain],
             [*family, self.write_unique, self.write_plain, self.mark]], [3, 2, 3, 3, 2, 1, 1, 1])
        if self.dice.random() < .7:
            self.clear()

    def clear(self):
        """The children and the unique values go, so that parents can be removed and values taken anew."""
        t = Transaction(self.database)
        for table in [*KIDS, "u", "o"]:
            t.delete_plain(list(t.rows["o"])) if table == "o" else t.delete_rows(table, list(t.rows[table]))
            self.owner.execute(f"delete from {table}")
        t.commit()

    # ------------------------------------------------------------------ statements: SQL, and what the model does

    def parent(self):
        return self.dice.choice(self.parents)

    def row(self):
        return self.dice.choice(self.rows)

    def write_parent(self, t):
        a, b, m = self.parent(), self.parent(), self.dice.randrange(5)
        insert = (f"insert into p values ({a}, 0, {a % 4})", lambda: t.insert_parent(a))
        remove = (f"delete from p where id = {a}", lambda: t.delete_parent(a))
        if a not in t.rows["p"]:
            return insert
        return self.dice.choice([
            insert, remove, remove, remove,
            (f"insert into p values ({a}, 0, {a % 4}) on conflict (id) do update set v = p.v + 1", lambda: t.upsert_parent(a)),
            (f"update p set v = v + 1 where id = {a}", lambda: t.change_parents([a], v=1)),
            (f"update p set m = m + 1 where id = {a}", lambda: t.change_parents([a], m=1)),
            (f"update p set v = v + 1 where m = {m}", lambda: t.change_parents(t.where("p", m=m), v=1)),
            (f"update p set id = {b} where id = {a}", lambda: t.rename_parent(a, b) if a != b else t.change_parents([a])),
        ])

    def write_kid(self, t):
        table, a, kid = self.dice.choice(self.kid_tables), self.parent(), self.row()
        b = self.parent() if self.dice.random() < .2 else self.dice.choice(self.parents[1:])
        if kid not in t.rows[table]:
            return f"insert into {table} values ({kid}, {b}, 0)", lambda: t.insert_kid(table, kid, b)
        return self.dice.choice([
            (f"insert into {table} values ({kid}, {b}, 0)", lambda: t.insert_kid(table, kid, b)),
            (f"update {table} set p = {b} where id = {kid}", lambda: t.move_kids(table, [kid], b)),
            (f"update {table} set p = {b} where p = {a}", lambda: t.move_kids(table, t.where(table, p=a), b)),
            (f"update {table} set w = w + 1 where id = {kid}", lambda: t.count_kid(table, kid)),
            (f"delete from {table} where id = {kid}", lambda: t.delete_rows(table, [kid])),
            (f"delete from {table} where p = {a}", lambda: t.delete_rows(table, t.where(table, p=a))),
        ])

    def fall_back(self, t):
        """Children fall back to parent 0 when theirs goes; parent 0 goes when none is seen there."""
        a, kid = self.dice.choice(self.parents[1:]), self.row()
        choices = [("delete from kd where p = 0", lambda: t.delete_rows("kd", t.where("kd", p=0)))]
        if 0 not in t.rows["p"]:
            choices += [("insert into p values (0, 0, 0)", lambda: t.insert_parent(0))]
        elif not t.where("kd", p=0):
            choices += [("delete from p where id = 0", lambda: t.delete_parent(0))] * 3
        if a not in t.rows["p"]:
            choices += [(f"insert into p values ({a}, 0, {a % 4})", lambda: t.insert_parent(a))] * 2
        elif t.where("kd", p=a):
            choices += [(f"delete from p where id = {a}", lambda: t.delete_parent(a))] * 3
        elif kid not in t.rows["kd"]:
            choices += [(f"insert into kd values ({kid}, {a}, 0)", lambda: t.insert_kid("kd", kid, a))] * 3
        return self.dice.choice(choices)

    def write_unique(self, t):
        # Often one of the two values is null, so that the other is all that two transactions meet over.
        i, active = self.dice.randrange(10), self.dice.random() < .8
        n = self.dice.choice(NUMBERS) if self.dice.random() < .6 else None
        c = self.dice.choice(WORDS) if n is None or self.dice.random() < .3 else None
        word, number, value = (f"'{c}'" if c else "null"), n or "null", Decimal(n) if n else None
        insert = f"insert into u values ({i}, {number}, {word}, {active})", lambda: t.insert_unique(i, value, c, active)
        if i not in t.rows["u"]:
            return insert
        return self.dice.choice([
            insert,
            (f"update u set n = {number} where id = {i}", lambda: t.change_unique(i, n=value)),
            (f"update u set c = {word} where id = {i}", lambda: t.change_unique(i, c=c)),
            (f"update u set c = {word} where id = {i}", lambda: t.change_unique(i, c=c)),
            (f"update u set active = {active} where id = {i}", lambda: t.change_unique(i, active=active)),
            (f"delete from u where id = {i}", lambda: t.delete_rows("u", [i])),
            (f"delete from u where id = {i}", lambda: t.delete_rows("u", [i])),
        ])

    def write_plain(self, t):
        k, z, v = (self.dice.choice([None, None, 1, 2, 3]) for _ in range(3))
        v = v or 0
        text = lambda value: "null" if value is None else value
        where, rows = self.dice.choice([(f"k = {text(k)}", t.where("o", k=k) if k else []), (f"v = {v}", t.where("o", v=v)),
                                        ("k is null", t.where("o", k=None)),
                                        (f"z = {text(z)}", t.where("o", z=z) if z else [])])
        if not rows or self.dice.random() < .3:
            return f"insert into o values ({text(k)}, {text(z)}, 0)", lambda: t.insert_plain(k, z)
        one = len(rows) == 1
        return self.dice.choice([
            (f"update o set v = v + 1 where {where}", lambda: t.change_plain(rows, v=1)),
            (f"update o set v = v + 1 where {where}", lambda: t.change_plain(rows, v=1)),
            (f"delete from o where {where}", lambda: t.delete_plain(rows)),
            (f"update o set k = {text(k)} where {where}", lambda: t.change_plain(rows, k=k)) if one else
            (f"update o set v = v + 1 where {where}", lambda: t.change_plain(rows, v=1)),
            (f"update o set z = {text(z)} where {where}", lambda: t.change_plain(rows, z=z)) if one else
            (f"delete from o where {where}", lambda: t.delete_plain(rows)),
        ])

    def mark_plain(self, t):
        clause, how = self.dice.choice(CLAUSES)
        where, rows = self.dice.choice([("k is null", t.where("o", k=None)), ("k = 1", t.where("o", k=1)),
                                        ("v = 0", t.where("o", v=0))])
        return f"select v from o where {where} {clause}", lambda: t.mark_plain(rows, how)

    def mark(self, t):
        clause, how = self.dice.choice(CLAUSES)
        table, i, m = self.dice.choice(WITH_ID), self.row(), self.dice.randrange(5)
        return self.dice.choice([
            (f"select id from {table} where id = {i} {clause}", lambda: t.mark(table, [i], how)),
            (f"select id from p where m = {m} {clause}", lambda: t.mark("p", t.where("p", m=m), how)),
        ])

    def read(self, t):
        table, i, a, m = self.dice.choice(WITH_ID), self.row(), self.parent(), self.dice.randrange(5)
        kid = self.dice.choice(self.kid_tables)
        return self.dice.choice([
            (f"select count(*) from {table} where id >= {i}", lambda: [(sum(x >= i for x in t.rows[table]),)]),
            (f"select count(*) from p where m = {m}", lambda: [(len(t.where("p", m=m)),)]),
            (f"select count(*) from {kid} where p = {a}", lambda: [(len(t.where(kid, p=a)),)]),
            ("select count(*) from u where active", lambda: [(len(t.where("u", active=True)),)]),
            (f"select id, v from p where m = {m}", lambda: [(x, t.rows["p"][x]["v"]) for x in t.where("p", m=m)]),
            (f"select {LIST[table]} from {table}", lambda: as_rows(t.rows, table)),
            (f"select k.id from {kid} k join p on p.id = k.p where p.m = {m}",
             lambda: [(x,) for x, row in t.rows[kid].items() if t.rows["p"].get(row["p"], {"m": None})["m"] == m]),
            (f"select {LIST['o']} from o", lambda: as_rows(t.rows, "o")),
        ])

    def read_back(self, t):
        """Counts among what was there before a row that the transaction changed."""
        table, identity = self.dice.choice(sorted(t.changed))
        if table == "o":
            return "select count(*) from o where k is null", lambda: [(len(t.where("o", k=None)),)]
        row = t.before[table].get(identity) or t.rows[table].get(identity)
        if row is None or self.dice.random() < .3:
            return (f"select count(*) from {table} where id >= {identity}",
                    lambda: [(sum(x >= identity for x in t.rows[table]),)])
        column = {"p": "m", "u": "active"}.get(table, "p")
        return (f"select count(*) from {table} where {column} = {row[column]}",
                lambda: [(len(t.where(table, **{column: row[column]})),)])

    # ------------------------------------------------------------------ steps

    def step(self):
        number = self.dice.randrange(len(self.sessions))
        if number not in self.open:
            self.sessions[number].execute("begin")
            self.open[number] = None
            if self.dice.random() < .5:
                return
        dice = self.dice.random()
        if dice < .8:
            self.statement(number)
        else:
            self.end(number, rolls_back=dice > .96)

    def statement(self, number):
        if self.open[number] is None:
            self.open[number] = Transaction(self.database)
        t = self.open[number]
        # What a transaction wrote it soon reads.
        if t.changed and self.dice.random() < .35:
            sql, model = self.read_back(t)
        else:
            sql, model = self.dice.choice([*self.kinds, *self.kinds, *self.kinds, self.read])(t)
        self.tally["statements"] += 1
        try:
            wanted = model()
        except Refused as refused:
            wanted = refused.sqlstate
        try:
            cursor = self.sessions[number].execute(sql)
            got = normalized(cursor.fetchall()) if isinstance(wanted, list) else cursor.rowcount
        except psycopg.Error as error:
            got = error.sqlstate
        if isinstance(wanted, list):
            wanted = normalized(wanted)
        if self.verbose:
            print(f"{number}: {sql} => {got}")
        if got != wanted:
            raise Different(f"session {number}: {sql}\n  server: {got}\n  model:  {wanted}")
        if isinstance(got, str):
            self.tally["refused"] += 1
            self.end(number, rolls_back=True)

    def end(self, number, rolls_back):
        t = self.open.pop(number)
        if rolls_back:
            self.sessions[number].execute("rollback")
            return
        wanted = reason = None
        try:
            if t:
                t.check_deferred()
            reason = t.reason_to_lose() if t else None
            wanted = "40001" if reason else None
        except Refused as refused:
            wanted = refused.sqlstate
        try:
            self.sessions[number].execute("commit")
            got = None
        except psycopg.Error as error:
            got = error.sqlstate
        if self.verbose:
            print(f"{number}: commit => {got or 'committed'}")
        if got != wanted:
            raise Different(f"session {number}: commit: {got or 'committed'}, but the model has"
                            f" {reason or wanted or 'no conflict'}; it used {sorted(t.uses, key=repr) if t else []}")
        self.tally[{None: "committed", "40001": "lost"}.get(wanted, "refused")] += 1
        if t and not wanted:
            t.commit()

    def gather(self):
        """Everybody ends; the committed rows must be the model's; pages become all-visible."""
        for number in list(self.open):
            self.end(number, rolls_back=self.dice.random() < .3)
        for table in COLUMNS:
            got = normalized(self.owner.execute(f"select {LIST[table]} from {table}").fetchall())
            if got != as_rows(self.database.rows, table):
                raise Different(f"{table} holds\n  server: {got}\n  model:  {as_rows(self.database.rows, table)}")
        self.owner.execute("vacuum " + ", ".join(COLUMNS))

    def run(self, steps):
        for number in range(steps):
            if number % 60 == 0:
                self.gather()
                self.choose_theme()
            self.step()
        self.gather()
        if self.owner.execute("select apply_failures from sys.commit_stats()").fetchone() != (0,):
            raise Different("the heap disagreed with a verdict")


def run(server, seed, arguments):
    """True if server and model never differed, or only after FIND_S_MAX."""
    simulation = Simulation(server, seed, arguments.sessions, arguments.verbose)
    stopwatch = Stopwatch(simulation.owner, *simulation.sessions)
    try:
        simulation.run(arguments.steps)
    except Different as different:
        planted = ["--plant", arguments.plant] if arguments.plant else []
        again = command(__file__, "--seed", seed, "--steps", arguments.steps, "--sessions", arguments.sessions, *planted)
        wall_ms, kept_ms = stopwatch.stop()
        took_s = (wall_ms - kept_ms) / 1000
        print(f"seed {seed}, after {took_s:.1f} s and {simulation.tally}: {different}\n  again: {again}", flush=True)
        return arguments.prove and took_s > FIND_S_MAX
    finally:
        for session in [simulation.owner, *simulation.sessions]:
            session.close()
    print(f"seed {seed}: {simulation.tally}, no difference")
    return True


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=1, help="the first")
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--steps", type=int, default=2500)
    options.add_argument("--sessions", type=int, default=6)
    options.add_argument("--plant", help="a fault that the server is to have")
    options.add_argument("--prove", action="store_true", help="exit 0 if server and model differ soon with every seed, 1 if not")
    options.add_argument("--verbose", action="store_true")
    arguments = options.parse_args()
    settings = {"zorya.gate": "off", "statement_timeout": "4s", "lock_timeout": "50ms"}
    with ScratchServer(settings=settings, plant=arguments.plant) as server:
        sound = [run(server, seed, arguments) for seed in range(arguments.seed, arguments.seed + arguments.seeds)]
    return 0 if (not any(sound) if arguments.prove else all(sound)) else 1


if __name__ == "__main__":
    sys.exit(main())
