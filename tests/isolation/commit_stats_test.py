"""The commit path can be seen: what is counted, at which table, and how long the parts of a COMMIT took."""
import time

import psycopg
import pytest

from support.scratch_server import ScratchServer


@pytest.fixture(scope="module")
def server():
    with ScratchServer(settings={"statement_timeout": "20s", "lock_timeout": "50ms"}, roles=("app",)) as running:
        admin = running.connect("admin")
        admin.execute("create table accounts(id int primary key, email text unique, v int)")
        admin.execute("create table parent(id int primary key, v int)")
        admin.execute("create table child(id int primary key, p int references parent)")
        yield running


@pytest.fixture
def sessions(server):
    pair = server.connect("admin"), server.connect("admin")
    for table in ("child", "parent", "accounts"):
        pair[0].execute(f"delete from {table}")
    pair[0].execute("insert into accounts values (1, 'a', 0), (2, 'b', 0)")
    pair[0].execute("insert into parent values (1, 0)")
    yield pair
    for session in pair:
        session.close()


def conflicts(session):
    return {(table, kind): count for table, kind, count in
            session.execute("select table_name, kind, conflicts from sys.conflict_stats").fetchall()}


def lose(winner, loser, winning, losing):
    """Both at once, the first commits, the second is told."""
    before = conflicts(winner)
    for session, sql in ((winner, winning), (loser, losing)):
        session.execute("begin")
        session.execute(sql)
    winner.execute("commit")
    with pytest.raises(psycopg.errors.SerializationFailure):
        loser.execute("commit")
    after = conflicts(winner)
    return [key for key in after if after[key] != before.get(key, 0)]


def test_a_conflict_is_counted_at_its_table_by_its_kind(sessions):
    assert lose(*sessions, "update accounts set v = 1 where id = 1", "update accounts set v = 2 where id = 1") == \
        [("public.accounts", "row")]
    assert lose(*sessions, "insert into accounts values (9, 'x', 0)", "insert into accounts values (9, 'y', 0)") == \
        [("public.accounts", "key")]
    assert lose(*sessions, "insert into accounts values (10, 'z', 0)", "insert into accounts values (11, 'z', 0)") == \
        [("public.accounts", "key")]
    assert lose(*sessions, "delete from parent where id = 1", "insert into child values (1, 1)") == \
        [("public.parent", "mark")]


def test_one_row_of_figures_agrees_with_the_tables(sessions):
    a, b = sessions
    before = a.execute("select committed, conflicts, apply_failures from sys.commit_stats").fetchone()
    by_table = sum(conflicts(a).values())
    lose(a, b, "update accounts set v = 1 where id = 2", "delete from accounts where id = 2")
    after = a.execute("select committed, conflicts, apply_failures from sys.commit_stats").fetchone()
    assert (after[0] - before[0], after[1] - before[1], after[2]) == (1, 1, 0)
    assert sum(conflicts(a).values()) - by_table == 1


def test_each_part_of_a_writing_commit_is_timed_once(sessions):
    a, _ = sessions

    def counts():
        return dict(a.execute("select part, sum(commits)::int from sys.commit_times group by part").fetchall())
    before = counts()
    for n in range(20):
        a.execute("update accounts set v = v + 1 where id = 1")
        a.execute("select count(*) from accounts")
    after = counts()
    assert {part: after[part] - before.get(part, 0) for part in after} == {"verdict": 20, "apply": 20, "flush": 20}
    limits = [limit for limit, in a.execute("select below_us from sys.commit_times").fetchall()]
    assert all(limit is None or limit & (limit - 1) == 0 for limit in limits)


def test_a_time_falls_into_its_bucket(sessions):
    """What the buckets say about the flush is no more than the clock beside it says."""
    a, _ = sessions
    before = dict(a.execute("select below_us, commits from sys.commit_times where part = 'flush'").fetchall())
    start = time.monotonic()
    a.execute("update accounts set v = v + 1 where id = 1")
    took_us = (time.monotonic() - start) * 1e6
    after = dict(a.execute("select below_us, commits from sys.commit_times where part = 'flush'").fetchall())
    [bucket] = [limit for limit in after if after[limit] != before.get(limit, 0)]
    assert bucket / 2 <= took_us


def test_only_admin_and_the_owner_may_look(server):
    app = server.connect("app")
    for view in ("commit_stats", "conflict_stats", "commit_times"):
        for form in (view, view + "()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(f"select * from sys.{form}")
    server.connect("admin").execute("select * from sys.commit_stats()")


def test_more_tables_than_places_are_counted_as_unknown(server):
    owner, a, b = server.connect(), server.connect("admin"), server.connect("admin")
    before = conflicts(a).get((None, "row"), 0)
    for n in range(257):
        a.execute(f"create table many_{n}(id int primary key, v int)")
        a.execute(f"insert into many_{n} values (1, 0)")
        lose(a, b, f"update many_{n} set v = 1", f"update many_{n} set v = 2")
    found = conflicts(a)
    assert found[(None, "row")] > before
    assert sum(count for (table, kind), count in found.items() if table is None or "many_" in table) - before == 257
    places, = owner.execute("select count(distinct table_id) from sys.conflict_stats").fetchone()
    assert places == 256
