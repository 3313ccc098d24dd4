"""Random programs on tables of ours and the same on plain heap tables, each side in one transaction of its own: row counts,
rows in their order, SQLSTATEs, constraints and contents must be the same.

    model_test.py [--statements N] [--seed S] [--one] [--verbose] [--plant FAULT [--quiet-wrong]]

A seed draws a schema and twelve programs; the run goes from seed S on until N statements are done. A difference prints the
command that repeats it. The long form is --statements 100000.
"""
import argparse
import random
import sys

import psycopg

from model.schemas import draw
from model.statements import Statement, Statements
from support.repeat import command
from support.scratch_server import ScratchServer

PROGRAMS = 12
PROGRESS_EVERY = 5000
MESSAGES_OF = ("40001", "XX000", "XX001", "XX002")  # never right, on either side


class Side:
    """One of the two worlds: a session, and a schema whose tables are of one access method."""

    def __init__(self, server, name, method, schema):
        self.name = name
        self.session = server.connect()
        run = self.session.execute
        run(f"create schema {name}")
        run(f"set search_path = {name}; set default_table_access_method = '{method}'; set extra_float_digits = 0")
        for sql in schema.statements + schema.settings:
            run(sql)

    def close(self):
        self.session.execute(f"rollback; set search_path = public; drop schema {self.name} cascade")
        self.session.close()

    def answer(self, statement):
        """(SQLSTATE and constraint, or None; row count; rows)"""
        try:
            if statement.copy is not None:
                cursor = self.session.cursor()
                with cursor.copy(statement.sql) as copy:
                    for line in statement.copy:
                        copy.write(line)
                return None, cursor.rowcount, None
            if statement.sql.startswith("copy"):
                cursor = self.session.cursor()
                with cursor.copy(statement.sql) as copy:
                    return None, None, [bytes(line) for line in copy]
            cursor = self.session.execute(statement.sql)
            rows = cursor.fetchall() if cursor.description else None
            if rows and not statement.ordered:
                rows.sort(key=repr)
            return None, cursor.rowcount, rows
        except psycopg.Error as error:
            return (error.sqlstate, error.diag.constraint_name, str(error)), None, None

    def contents(self, table):
        return self.session.execute(f"select * from {table} z order by z::text").fetchall()


def same(statement, ours, heaps):
    if (ours[0] is None) != (heaps[0] is None):
        return False
    if ours[0] is None:
        return ours[1:] == heaps[1:]
    if statement.many and ours[0][0][:2] == heaps[0][0][:2] == "23":
        return True
    return ours[0][:2] == heaps[0][:2]


class Case:
    """The schema and the programs of one seed."""

    def __init__(self, server, seed, verbose):
        self.seed = seed
        self.dice = random.Random(seed)
        self.schema = draw(self.dice)
        self.verbose = verbose
        self.sides = [Side(server, f"m{seed}_o", "btree-table", self.schema), Side(server, f"m{seed}_h", "heap", self.schema)]
        self.statement_count = self.refused_count = 0
        self.difference = None

    def both(self, statement, guarded=False):
        for side in self.sides:
            if guarded:
                side.session.execute("savepoint guard")
        ours, heaps = (side.answer(statement) for side in self.sides)
        self.statement_count += 1
        self.refused_count += ours[0] is not None
        if not same(statement, ours, heaps) or (ours[0] or ("",))[0] in MESSAGES_OF:
            self.differ(statement.sql, ours, heaps)
        if self.verbose:
            print("  ", statement.sql, "--", str(ours[0] or ours[1:])[:150])
        for side, answer in zip(self.sides, (ours, heaps)):
            if guarded and not self.difference:
                side.session.execute("rollback to guard" if answer[0] else "release guard")
        return ours[0] is None

    def differ(self, what, ours, heaps):
        self.difference = self.difference or f"{what}\n    ours {str(ours)[:400]}\n    heap {str(heaps)[:400]}"

    def everywhere(self, sql):
        for side in self.sides:
            side.session.execute(sql)

    def compare_contents(self):
        if self.difference:
            return
        for table in self.schema.tables:
            ours, heaps = (side.contents(table) for side in self.sides)
            if ours != heaps:
                self.differ(f"contents of {table}", sorted(set(ours) - set(heaps), key=repr),
                            sorted(set(heaps) - set(ours), key=repr))

    def program(self):
        if self.dice.random() < .3:
            self.everywhere("vacuum" + self.dice.choice(["", " analyze"]) + " t, kid")
        drawer = Statements(self.dice, self.schema)
        guarded = self.dice.random() < .75
        savepoints = []
        self.everywhere("begin")
        alive = True
        for _ in range(self.dice.randint(3, 30)):
            dice = self.dice.random()
            if guarded and dice < .08:
                savepoints.append(f"s{len(savepoints)}")
                self.everywhere("savepoint " + savepoints[-1])
            elif savepoints and dice < .14:
                index = self.dice.randrange(len(savepoints))
                self.everywhere(("rollback to " if dice < .11 else "release ") + savepoints[index])
                savepoints = savepoints[:index + (dice < .11)]
                drawer.cursors.clear()
            elif guarded and dice < .165:
                # Reads statistics of the pending rows, and writes them to the heap first.
                self.both(Statement(self.dice.choice([
                    "analyze t", "comment on table t is 'x'", f"alter table t alter d set default {self.dice.randint(0, 59)}", "cluster t using t_pkey",
                    "truncate grandkid", "truncate kid, grandkid", "create index on t(e, x)", "reindex table t",
                    "alter table kid alter note type varchar(90)", "create unique index if not exists t_kn on kid(k, note)",
                    "cluster kid using kid_pkey", "alter table t add column if not exists extra int default 7"])), guarded)
            else:
                alive = self.both(drawer.draw(), guarded) or guarded
            if self.difference or not alive:
                break
            if self.dice.random() < .12:
                self.compare_contents()
        if self.difference:
            return
        self.finish(alive)
        self.compare_contents()

    def finish(self, alive):
        if not alive or self.dice.random() < .15:
            self.everywhere("rollback")
            return
        answers = []
        for side in self.sides:
            try:
                side.session.execute("commit")
                answers.append((None, None))
            except psycopg.Error as error:
                answers.append((error.sqlstate, error.diag.constraint_name))
        if answers[0] != answers[1]:
            self.differ("commit", *answers)

    def check_indexes(self):
        """Every index has every row, and no scan of either kind knows more rows than another."""
        ours = self.sides[0].session
        try:
            ours.execute("""select public.bt_index_check(c.oid, true) from pg_class c
                            where c.relam = 403 and c.relkind = 'i' and c.relnamespace = current_schema()::regnamespace""")
        except psycopg.Error as error:
            self.differ("bt_index_check", error, None)

    def run(self):
        if self.verbose:
            print("\n".join(f"   {sql};" for sql in self.schema.statements + self.schema.settings))
        for number in range(PROGRAMS):
            if self.verbose:
                print(f" program {number}")
            self.program()
            if self.difference:
                break
        if not self.difference:
            self.check_indexes()
        if self.difference:
            print(f"seed {self.seed}: DIFFERENCE: {self.difference}")
        for side in self.sides:
            side.close()
        return self.difference is None


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--statements", type=int, default=2500)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--one", action="store_true", help="this seed alone")
    options.add_argument("--keep-on", action="store_true", help="go on after a difference")
    options.add_argument("--verbose", action="store_true")
    options.add_argument("--plant", help="a fault that the server is to have")
    options.add_argument("--quiet-wrong", action="store_true", help="exit 0 if something differs, 1 if not")
    arguments = options.parse_args()
    statements = refused = differences = 0
    seed = arguments.seed
    with ScratchServer(settings={"zorya.gate": "off", "statement_timeout": "30s", "temp_file_limit": "-1"},
                       plant=arguments.plant) as server:
        owner = server.connect()
        owner.execute("create extension amcheck; create extension plpgsql")
        while statements < arguments.statements and not (differences and not arguments.keep_on):
            case = Case(server, seed, arguments.verbose)
            if not case.run():
                differences += 1
                planted = ["--plant", arguments.plant] if arguments.plant else []
                print("  again:", command(__file__, "--one", "--seed", seed, "--verbose", *planted))
            if statements // PROGRESS_EVERY != (statements + case.statement_count) // PROGRESS_EVERY:
                print(f"{statements + case.statement_count} statements, {differences} differences; goes on from --seed {seed + 1}", flush=True)
            statements += case.statement_count
            refused += case.refused_count
            seed += 1
            if arguments.one:
                break
        apply_failures, = owner.execute("select apply_failures from sys.commit_stats()").fetchone()
    print(f"seeds {arguments.seed} to {seed - 1}: {statements} statements, {refused} refused alike, {differences} differences,"
          f" {apply_failures} apply failures")
    wrong = differences > 0 or apply_failures > 0
    if arguments.quiet_wrong:
        return 0 if wrong else 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
