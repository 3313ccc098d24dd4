"""What a transaction reads of its own writes where the random programs of tests/model do not come: portals that a driver
reads in portions, lossy bitmaps. And what the write set costs: HOT updates kept, memory given back on every exit.

ZORYA_TEST_LONG=1 repeats the exits more often.
"""
import os
import time

import psycopg
import pytest

from support.portals import Portals
from support.scratch_server import ScratchServer

LONG = bool(os.environ.get("ZORYA_TEST_LONG"))


@pytest.fixture(scope="module")
def server():
    with ScratchServer(settings={"statement_timeout": "20s", "zorya.gate": "off", "shared_buffers": "16MB"}) as running:
        yield running
        assert running.connect().execute("select apply_failures from sys.commit_stats()").fetchone() == (0,)


@pytest.fixture
def admin(server):
    session = server.connect("admin")
    yield session
    session.close()


@pytest.mark.parametrize("between", ["select 1", "analyze portal", "comment on table portal is 'x'"])
def test_a_portal_reads_what_was_there_when_it_was_opened(server, admin, between):
    """A comment is a schema change, before which the pending rows are written."""
    admin.execute("create table if not exists portal(id int primary key, v int, c text)")
    admin.execute("create index on portal(v)")
    admin.execute("delete from portal")
    admin.execute("insert into portal select g, g, 'x' from generate_series(1, 8) g")
    with Portals(server) as session:
        session.say("begin")
        session.say("delete from portal where id = 1; update portal set c = 'early' where id = 2; update portal set v = 30 where id = 3")
        session.open("p", "select id, v, c from portal order by id")
        assert session.fetch("p", 2) == [("2", "2", "early"), ("3", "30", "x")]
        session.say("delete from portal where id = 4")
        session.say(between)
        session.say("update portal set c = 'late' where id > 4; update portal set v = v + 100 where id = 5;"
                    " insert into portal values (9, 9, 'new')")
        session.say(between)
        assert session.fetch("p", 3) == [("4", "4", "x"), ("5", "5", "x"), ("6", "6", "x")]
        session.say("delete from portal where id = 8")
        assert session.fetch("p", 0) == [("7", "7", "x"), ("8", "8", "x")]
        session.say("commit")
    assert admin.execute("select id, v, c from portal order by id").fetchall() == [
        (2, 2, "early"), (3, 30, "x"), (5, 105, "late"), (6, 6, "late"), (7, 7, "late"), (9, 9, "new")]


def test_lossy_bitmaps_see_the_transactions_own_writes(server, admin):
    owner = server.connect()
    admin.execute("create table lossy(id int primary key, v int, pad text) with (fillfactor = 10)")
    admin.execute("create index on lossy(v)")
    owner.execute("insert into public.lossy select g, g, repeat('p', 400) from generate_series(1, 3000) g")
    owner.execute("vacuum analyze public.lossy")
    admin.execute("begin")
    admin.execute("set local work_mem = '64kB'; set local enable_seqscan = off; set local enable_indexscan = off;"
                  " set local enable_indexonlyscan = off")
    admin.execute("delete from lossy where id % 10 = 0")
    admin.execute("update lossy set pad = 'new' where id % 10 = 1")
    admin.execute("update lossy set v = v + 10000 where id % 10 = 2")
    query = "select count(*), count(*) filter (where pad = 'new') from lossy where v between 1 and 3000"
    plan = "\n".join(line for line, in admin.execute("explain (analyze, costs off) " + query).fetchall())
    assert "lossy=" in plan, plan
    assert admin.execute(query).fetchone() == (2400, 300)
    assert admin.execute("select count(*) from lossy where v between 1 and 20000").fetchone() == (2700,)
    assert admin.execute("select count(*) from lossy where v > 10000 and pad like 'p%'").fetchone() == (300,)
    admin.execute("rollback")


# ---------------------------------------------------------------- HOT

UPDATES = {
    "a plain column": ["update {t} set c = 'n' where id = 5"],
    "the same value of an indexed column": ["update {t} set v = v where id = 5"],
    "an indexed column": ["update {t} set v = v + 1 where id = 5"],
    "the key": ["update {t} set id = -id where id = 5"],
    "a column of an expression": ["update {t} set e = 'Z' where id = 5"],
    "a column of a predicate": ["update {t} set p = 9 where id = 5"],
    "an included column": ["update {t} set i = 9 where id = 5"],
    "a stored value": ["update {t} set big = repeat('y', 5000) where id = 5"],
    "beside a stored value": ["update {t} set c = 'z' where id = 6"],
    "of many": ["update {t} set c = 'm' where id between 1 and 10"],
    "for update first": ["select 1 from {t} where id = 5 for update", "update {t} set c = 'n' where id = 5"],
    "upsert": ["insert into {t}(id) values (5) on conflict (id) do update set c = 'u'"],
    "a row of this transaction": ["insert into {t}(id, v) values (500, 1)", "update {t} set c = 'own' where id = 500"],
    "a moved row again": ["update {t} set v = v + 1 where id = 5", "update {t} set c = 'own' where id = 5"],
}


def updates_of(owner, table):
    owner.execute("select pg_stat_force_next_flush()")
    owner.execute("select pg_stat_clear_snapshot()")
    return owner.execute("select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = %s", (table,)).fetchone()


def test_hot_updates_are_those_of_postgresql(server):
    owner = server.connect()
    counts = {}
    for method in ("btree-table", "heap"):
        for number, (what, statements) in enumerate(UPDATES.items()):
            table = f"hot_{'o' if method != 'heap' else 'h'}{number}"
            owner.execute(f"""create table {table}(id int primary key, v int, c text, e text, p int default 0, i int, big text)
                              using "{method}" with (fillfactor = 40);
                              alter table {table} alter big set storage external;
                              create index on {table}(v) include (i); create index on {table}(lower(e));
                              create index on {table}(id) where p > 5;
                              insert into {table} select g, g, 'c', 'e', 0, 0, repeat('x', 3000) from generate_series(1, 10) g""")
            session = server.connect()
            session.execute("begin")
            for sql in statements:
                session.execute(sql.format(t=table))
            session.execute("commit")
            session.execute("select pg_stat_force_next_flush()")
            session.execute("select 1")
            session.close()
            counts.setdefault(what, []).append((owner, table))
    deadline = time.monotonic() + 15
    for what, tables in counts.items():
        while True:
            ours, heaps = (updates_of(owner, table) for owner, table in tables)
            # What takes a new row with ours (delete and insert) is an update that is not HOT with heap; the rest is alike.
            if ours[1] == heaps[1] and heaps[0] > 0:
                break
            assert time.monotonic() < deadline, f"{what}: ours {ours}, heap {heaps} (updates, HOT ones)"
            time.sleep(.05)


# ---------------------------------------------------------------- memory

def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))


EXITS = {
    "commit": "begin; update m set v = v + 1 where id % 50 = {k}; insert into m values ({n}, 0, null); commit",
    "rollback": "begin; update m set v = v + 1 where id % 50 = {k}; delete from m where id % 50 = 9; rollback",
    "error": "begin; update m set v = v + 1 where id % 50 = {k}; insert into m values (1, 1, null); commit",
    "error of a function": "begin; update m set c = 'x' where id % 50 = {k}; select 1 / (v - v) from m; commit",
    "savepoints": "begin; update m set v = 1 where id = {k}; savepoint a; delete from m where id = {k}; rollback to a;"
                  " savepoint b; update m set v = v + 1; release b; commit",
    "deferred": "begin; insert into mk values ({n}, 99999999); commit",
    "marks": "begin; select count(*) from (select 1 from m for update) s; select count(*) from (select 1 from m for key share) s; commit",
    "cancel": "begin; update m set v = v + 1; set local statement_timeout = '1ms'; select pg_sleep(1); commit",
    "schema": "begin; update m set v = v + 1; create table made(i int); rollback",
    "large value": "begin; update m set c = repeat(md5('{n}'), 3000) where id = {k}; commit",
    "conflict": None,
}


def test_memory_goes_back_on_every_exit(server):
    if server.is_sanitized():
        pytest.skip("the sanitizer keeps what was freed")
    rounds = 10_000 if LONG else 4_000
    session, other, owner = server.connect("admin"), server.connect("admin"), server.connect()
    session.execute("""create table m(id int primary key, v int, c text); create index on m(v);
                       create table mk(id int primary key, p int references m deferrable initially deferred);
                       insert into m select g, 0, null from generate_series(1, 200) g""")
    pid = session.info.backend_pid
    ended = dict.fromkeys(EXITS, 0)

    def once(n):
        name = list(EXITS)[n % len(EXITS)] if n % 20 else "cancel"
        if name == "cancel" and n % 20:
            name = "commit"
        states = []
        if name == "conflict":
            session.execute("begin; update m set v = 5 where id = 7")
            other.execute("update m set v = 6 where id = 7")
            sql = "commit"
        else:
            sql = EXITS[name].format(k=n % 50, n=1000 + n)
        try:
            session.execute(sql)
        except psycopg.Error as error:
            states.append(error.sqlstate)
            session.execute("rollback")
        expected = {"error": "23505", "error of a function": "22012", "deferred": "23503", "cancel": "57014", "conflict": "40001"}
        assert states == ([expected[name]] if name in expected else []), f"{name}: {states}"
        ended[name] += 1
        if n % 500 == 499:
            owner.execute("delete from public.m where id >= 1000")
            owner.execute("vacuum public.m, public.mk")

    for n in range(1000):
        once(n)
    start = private_kib(pid)
    for n in range(1000, rounds):
        once(n)
    grown = private_kib(pid) - start
    assert all(ended.values()), ended
    assert grown < 1024, f"{grown} KiB more after {rounds - 1000} transactions"


def test_sessions_that_are_ended_leave_nothing(server):
    owner = server.connect()
    owner.execute("create table public.gone(id int primary key, v int); insert into public.gone select g, 0 from generate_series(1, 2000) g;"
                  "grant all on public.gone to admin")
    before = owner.execute("select recent_keys from sys.commit_stats()").fetchone()[0]
    for number in range(60 if LONG else 15):
        victim = server.connect("admin")
        victim.execute("begin; update gone set v = v + 1; delete from gone where id % 2 = 0; insert into gone values (-1, 0)")
        owner.execute("select pg_terminate_backend(%s, 5000)", (victim.info.backend_pid,))
        with pytest.raises(psycopg.Error):
            victim.execute("commit")
        victim.close()
    assert owner.execute("select count(*), sum(v) from public.gone").fetchone() == (2000, 0)
    assert owner.execute("select recent_keys from sys.commit_stats()").fetchone()[0] <= before + 100
    # Its keys are free for the next.
    owner.execute("insert into public.gone values (-1, 0)")
