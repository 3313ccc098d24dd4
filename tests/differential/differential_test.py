"""Random statements on a table of ours and on a plain heap table, side by side in one transaction, with savepoints and
schema changes mixed in: row counts, RETURNING, SQLSTATE and contents must be the same.

    differential_test.py [--seconds N] [--seeds 1 2 3 ...] [--verbose]

The long form is a matter of --seconds and --seeds. A difference prints the command that repeats it.
"""
import argparse
import random
import sys
import time

import psycopg

from support.repeat import command
from support.scratch_server import ScratchServer

PLANS = {0: "enable_seqscan = off",
         1: "enable_indexscan = off; set enable_indexonlyscan = off; set enable_seqscan = off",
         2: "enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off",
         3: "enable_bitmapscan = off; set enable_seqscan = off"}


class Pair:
    """Two tables, `o` of ours and `h` of heap's, and one session that does everything to both."""

    def __init__(self, server, seed, verbose):
        self.random = random.Random(seed)
        self.seed = seed
        self.verbose = verbose
        self.name = f"df{seed}_"
        self.owner = server.connect()
        self.in_transaction = False
        self.statement_count = 0
        self.error_count = 0
        self.differences = []
        for suffix, method in (("o", '"btree-table"'), ("h", "heap")):
            table = self.name + suffix
            self.owner.execute(f"""
                create table {table}(id int primary key, u int unique, b int, c text, d int, e text) using {method};
                create index on {table}(b);
                create index on {table}(d) where d > 5;
                create unique index on {table}(lower(e)) where e is not null;
                insert into {table} select g, g, g % 7, 'c' || g, g % 11, case when g % 3 = 0 then 'e' || g end
                  from generate_series(1, 60) g;
                create table {table}_kid(k int primary key, p int references {table} on delete cascade) using {method};
                insert into {table}_kid select g, g from generate_series(1, 20) g""")
        self.owner.execute(f"set {PLANS[seed % 4]}")
        if seed % 2:
            self.owner.execute(f"vacuum analyze {self.name}o, {self.name}h")

    def close(self):
        self.owner.close()

    def number(self, low=1, high=70):
        return self.random.randint(low, high)

    def one(self, sql):
        try:
            if self.in_transaction:
                self.owner.execute("savepoint both_")
            cursor = self.owner.execute(sql)
            rows = sorted(cursor.fetchall(), key=repr) if cursor.description else None
            answer = (cursor.rowcount, rows)
            if self.in_transaction:
                self.owner.execute("release both_")
        except psycopg.Error as error:
            answer = error.sqlstate
            self.error_count += 1
            if self.in_transaction:
                self.owner.execute("rollback to both_")
        return answer

    def both(self, sql):
        ours, heaps = (self.one(sql.replace("@", self.name + suffix)) for suffix in "oh")
        self.statement_count += 1
        if ours != heaps:
            self.differences.append((sql, ours, heaps))
            print(f"seed {self.seed}: {sql}\n   ours {str(ours)[:300]}\n   heap {str(heaps)[:300]}")
        elif self.verbose:
            print(sql, ours)

    def statement(self):
        i, j = self.number(), self.number()
        k = min(70, i + self.number(0, 12))
        return self.random.choice([
            f"update @ set c = c || 'x' where id = {i} returning id, u, b, c, d",
            f"update @ set c = 'y{j}' where id between {i} and {k}",
            f"update @ set b = b + 1 where id between {i} and {k} returning *",
            f"update @ set id = {j} where id = {i}",
            f"update @ set u = {j} where id = {i} returning *",
            f"update @ set e = 'E{j}' where id = {i} returning *",
            f"delete from @ where id = {i} returning *",
            f"delete from @ where b = {i % 9} and id > {j}",
            f"insert into @ values ({i}, {j}, {i % 7}, 'n', {j % 11}, 'e{i}')",
            f"insert into @ values ({i}, {j}, 1, 'oc', 7) on conflict (id) do update set c = @.c || '!',"
            " d = excluded.d returning *",
            f"insert into @ values ({i}, {j}, 1, 'on', 3) on conflict do nothing",
            "update @ set d = d + 1 where d > 5",
            f"update @ a set c = z.c from @ z where a.id = z.id + 1 and z.b = {i % 7}",
            f"select * from @ where id = {i} for update",
            f"select * from @ where id between {i} and {k} for share",
            f"select count(*), sum(id) from @ where id > {i}",
            f"select count(*) from @ where b = {i % 8}",
            f"select b, count(*) from @ group by b",
            f"with z as (delete from @ where id = {i} returning *) insert into @ select id + 100, u + 100, b, c, d from z",
            f"update @ set id = -id where id between {i} and {k}",
            f"merge into @ t using (values ({i}, {j})) v(a, b) on t.id = v.a"
            " when matched and v.b % 2 = 0 then delete when matched then update set c = 'm'"
            " when not matched then insert values (v.a, v.b, 0, 'mi', 0)",
            "select d, count(*) from @ where d > 5 group by d",
            f"insert into @_kid values ({self.number(1, 300)}, {i})",
            f"update @_kid set p = {j} where k = {i}",
            f"delete from @_kid where p = {i} returning *",
            f"select k.k, t.c from @_kid k join @ t on t.id = k.p where t.id > {i}",
            f"insert into @ select g, g, g % 7, 'bulk', g % 11 from generate_series({i + 200}, {k + 200}) g"
            " on conflict do nothing",
            f"select id from @ where ctid = (select ctid from @ where id = {i})",
        ])

    def transaction(self):
        self.owner.execute("begin")
        self.in_transaction = True
        savepoints = []
        for _ in range(self.number(1, 14)):
            if self.differences:
                break
            dice = self.random.random()
            if dice < .12:
                savepoints.append(f"s{len(savepoints)}")
                self.owner.execute("savepoint " + savepoints[-1])
            elif dice < .20 and savepoints:
                index = self.random.randrange(len(savepoints))
                self.owner.execute("rollback to " + savepoints[index])
                savepoints = savepoints[:index + 1]
            elif dice < .25 and savepoints:
                index = self.random.randrange(len(savepoints))
                self.owner.execute("release " + savepoints[index])
                savepoints = savepoints[:index]
            elif dice < .28:
                self.both(f"alter table @ alter d set default {self.number()}")
            else:
                self.both(self.statement())
            if self.random.random() < .3:
                self.both("select * from @")
        self.owner.execute("rollback" if self.random.random() < .2 else "commit")
        self.in_transaction = False
        self.both("select * from @")
        self.both("select * from @_kid")


def run(server, seed, seconds, verbose):
    pair = Pair(server, seed, verbose)
    end = time.monotonic() + seconds
    while time.monotonic() < end and not pair.differences:
        pair.transaction()
    pair.owner.execute("""select bt_index_check(c.oid, true) from pg_class c join pg_index i on i.indexrelid = c.oid
                          join pg_class t on t.oid = i.indrelid where t.relname like %s || '%%' and c.relam = 403""",
                       (pair.name,))
    print(f"seed {seed}: {pair.statement_count} statements, {pair.error_count} refused alike,"
          f" {len(pair.differences)} differences")
    if pair.differences:
        print("  again:", command(__file__, "--verbose", "--seconds", seconds, "--seeds", seed))
    pair.close()
    return pair


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=6, help="for each seed")
    options.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4])
    options.add_argument("--verbose", action="store_true")
    arguments = options.parse_args()
    with ScratchServer(settings={"zorya.gate": "off"}) as server:
        owner = server.connect()
        owner.execute("create extension amcheck")
        pairs = [run(server, seed, arguments.seconds, arguments.verbose) for seed in arguments.seeds]
        apply_failures, = owner.execute("select apply_failures from sys.commit_stats()").fetchone()
    statements = sum(pair.statement_count for pair in pairs)
    differences = sum(len(pair.differences) for pair in pairs)
    print(f"{statements} statements, {differences} differences, {apply_failures} apply failures")
    return 0 if differences == 0 and apply_failures == 0 and statements > 30 * len(pairs) else 1


if __name__ == "__main__":
    sys.exit(main())
