"""Outcomes that tests force: each comes true as often as asked, for every session, and is counted. On a server that was not started for it
nothing of it is there."""
import os
import signal
import threading
import time

import psycopg
import pytest

from support.waiting import wait_until
from support.scratch_server import ScratchServer

ON = {"zorya.forced_outcomes": "on"}
CONFLICT = "change conflicts with another transaction (OC000)"
SCHEMA = "schema has been updated by another transaction (OC001)"


@pytest.fixture(scope="module")
def server():
    with ScratchServer(settings=ON | {"statement_timeout": "20s"}, roles=("app",)) as running:
        admin = running.connect("admin")
        admin.execute("create table t(id int primary key, v int)")
        admin.execute("create table other(id int primary key, v int)")
        admin.execute("create table child(id int primary key, t int references t)")
        yield running


@pytest.fixture
def admin(server):
    session = server.connect("admin")
    session.execute("select zorya.reset_forced_outcomes()")
    for table in ("child", "t", "other"):
        session.execute(f"delete from {table}")
    session.execute("insert into t values (1, 0)")
    yield session
    session.close()


def told(session, sql):
    with pytest.raises(psycopg.Error) as caught:
        session.execute(sql)
    return caught.value.sqlstate, caught.value.diag.message_primary


def forced(session):
    return session.execute("select outcome, of_table::text, asked, fired from zorya.forced_outcomes() order by id").fetchall()


def test_the_next_commits_that_touch_the_table_conflict_and_no_more(admin):
    admin.execute("select zorya.fail_commits('OC000', 't', 2)")
    admin.execute("insert into other values (1, 0)")
    assert admin.execute("select v from t").fetchone() == (0,)
    assert told(admin, "update t set v = 1") == ("40001", CONFLICT)
    admin.execute("begin")
    admin.execute("insert into t values (2, 0)")
    admin.execute("rollback")
    admin.execute("begin")
    admin.execute("insert into t values (2, 0)")
    admin.execute("insert into other values (2, 0)")
    assert told(admin, "commit") == ("40001", CONFLICT)
    admin.execute("update t set v = 1")
    assert forced(admin) == [("OC000", "t", 2, 2)]
    assert admin.execute("select count(*), sum(v) from t").fetchone() == (1, 1)
    assert admin.execute("select count(*) from other").fetchone() == (1,)


@pytest.mark.parametrize("touch", ["select * from t for update", "delete from t", "insert into child values (1, 1)"])
def test_marks_and_deletes_touch_too(admin, touch):
    admin.execute("select zorya.fail_commits('OC001', 't')")
    assert told(admin, touch) == ("40001", SCHEMA)
    admin.execute(touch)
    assert forced(admin) == [("OC001", "t", 1, 1)]


def test_statements_that_only_read_are_told_of_a_schema_change_too(admin):
    admin.execute("select zorya.fail_statements('t', 2)")
    admin.execute("select * from other")
    assert told(admin, "select * from t") == ("40001", SCHEMA)
    admin.execute("begin read only")
    assert told(admin, "select count(*) from other join t on other.id = t.id") == ("40001", SCHEMA)
    admin.execute("rollback")
    admin.execute("select * from t")
    assert forced(admin) == [("OC001", "t", 2, 2)]
    admin.execute("select zorya.fail_statements()")
    admin.execute("select 1")
    assert told(admin, "insert into other values (7, 7)") == ("40001", SCHEMA)
    admin.execute("select zorya.drop_connections('statement', 'other')")
    with pytest.raises(psycopg.OperationalError):
        admin.execute("select * from other")


def test_without_a_table_any_writing_commit_is_meant(admin):
    admin.execute("select zorya.fail_commits('too_old')")
    admin.execute("select * from t")
    with pytest.raises(psycopg.Error) as caught:
        admin.execute("insert into other values (5, 5)")
    assert (caught.value.sqlstate, caught.value.diag.message_primary, caught.value.diag.message_detail) == \
        ("54000", "transaction age limit of 300s exceeded", "Current transaction age 301s exceeds 300s")
    assert forced(admin) == [("too_old", None, 1, 1)]


def test_it_holds_for_all_sessions_and_comes_true_once_for_each_asked(server, admin):
    admin.execute("select zorya.fail_commits('OC000', 't', 20)")
    failures = []

    def work(number):
        session = server.connect("admin")
        for n in range(10):
            try:
                session.execute("insert into t values (%s, 0)", (100 + number * 10 + n,))
            except psycopg.errors.SerializationFailure:
                failures.append(number)
    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=20)
    assert len(failures) == 20
    assert forced(admin) == [("OC000", "t", 20, 20)]
    assert admin.execute("select count(*) from t").fetchone() == (21,)


def test_a_transaction_is_made_older(admin):
    admin.execute("begin")
    admin.execute("select zorya.age_transaction(290)")
    admin.execute("select zorya.age_transaction(9)")
    admin.execute("update t set v = 7")
    admin.execute("select zorya.age_transaction(2)")
    assert told(admin, "select 1") == ("54000", "transaction age limit of 300s exceeded")
    admin.execute("rollback")
    admin.execute("begin")
    admin.execute("update t set v = 8")
    admin.execute("select zorya.age_transaction(301)")
    assert told(admin, "commit") == ("54000", "transaction age limit of 300s exceeded")
    admin.execute("update t set v = v + 1")
    assert admin.execute("select v from t").fetchone() == (1,)
    assert told(admin, "select zorya.age_transaction(1)")[0] == "25P01"
    assert forced(admin) == [("aged", None, 4, 4)]


@pytest.mark.parametrize("point, is_committed", [("before_verdict", False), ("after_verdict", False), ("after_apply", False),
                                                 ("after_flush", True)])
@pytest.mark.parametrize("in_block", [False, True])
def test_a_connection_is_dropped_at_a_point_of_its_commit(server, admin, point, is_committed, in_block):
    admin.execute("select zorya.drop_connections(%s, 't')", (point,))
    victim, pid = server.connect("admin"), None
    pid = victim.info.backend_pid
    if in_block:
        victim.execute("begin")
        victim.execute("update t set v = 1")
    with pytest.raises(psycopg.OperationalError):
        victim.execute("commit" if in_block else "update t set v = 1")
    assert victim.broken
    owner = server.connect()
    wait_until(lambda: owner.execute("select count(*) from pg_stat_activity where pid = %s", (pid,)).fetchone() == (0,))
    assert admin.execute("select v from t").fetchone() == (1 if is_committed else 0,)
    # Nothing of it stands in the way of the next.
    admin.execute("update t set v = 2")
    assert admin.execute("select outcome, at_point, fired from zorya.forced_outcomes()").fetchall() == [("dropped", point, 1)]


def test_the_other_sessions_and_the_server_live_on(server, admin):
    started = server.connect().execute("select pg_postmaster_start_time()").fetchone()
    admin.execute("select zorya.drop_connections('after_flush', 't', 5)")
    for n in range(5):
        with pytest.raises(psycopg.OperationalError):
            server.connect("admin").execute("update t set v = v + 1")
    assert admin.execute("select v from t").fetchone() == (5,)
    assert server.connect().execute("select pg_postmaster_start_time()").fetchone() == started
    assert server.connect().execute("select apply_failures from sys.commit_stats").fetchone() == (0,)


def test_when_a_backend_is_killed_what_is_forced_is_lost_and_nothing_else():
    with ScratchServer(settings=ON) as server:
        admin, victim = server.connect("admin"), server.connect("admin")
        admin.execute("create table t(id int primary key)")
        admin.execute("select zorya.fail_commits('OC000', 't')")
        os.kill(victim.info.backend_pid, signal.SIGKILL)

        def is_ended():
            try:
                admin.execute("select 1")
            except psycopg.OperationalError:
                return True
        wait_until(is_ended, what="the end of the other session")

        def recovered():
            start = time.monotonic()
            try:
                return server.connect("admin"), time.monotonic() - start
            except psycopg.OperationalError:
                return None
        admin, took_s = wait_until(recovered, timeout=60, what="recovery")
        assert took_s < 9, "clients wait for a worker that does not run again"
        assert forced(admin) == []
        admin.execute("insert into t values (1)")
        admin.execute("select zorya.fail_commits('OC000', 't')")
        assert told(admin, "insert into t values (2)") == ("40001", CONFLICT)


def test_any_role_may_force_and_reset_forgets(server, admin):
    app = server.connect("app")
    app.execute("select zorya.fail_commits('OC000')")
    assert app.execute("select zorya.reset_forced_outcomes()").fetchone() == (1,)
    admin.execute("update t set v = 1")
    assert forced(admin) == []


def test_what_makes_no_sense_is_refused(admin):
    assert told(admin, "select zorya.fail_commits('OC002')") == ("22023", 'no outcome "OC002"')
    assert told(admin, "select zorya.fail_commits('dropped')") == ("22023", 'no outcome "dropped"')
    assert told(admin, "select zorya.fail_commits(null)")[0] == "22004"
    assert told(admin, "select zorya.fail_commits('OC000', 'nothing')")[0] == "42P01"
    assert told(admin, "select zorya.fail_commits('OC000', 't', 0)")[0] == "22023"
    assert told(admin, "select zorya.drop_connections('somewhere')") == ("22023", 'no point of a commit "somewhere"')
    for _ in range(64):
        admin.execute("select zorya.fail_commits('OC000', 't')")
    assert told(admin, "select zorya.fail_commits('OC000', 't')")[0] == "54000"
    assert admin.execute("select zorya.reset_forced_outcomes()").fetchone() == (64,)


def test_the_schema_takes_no_place_and_nobody_changes_it(admin):
    for number in range(10):
        admin.execute(f"create schema s{number}")
    for number in range(10):
        admin.execute(f"drop schema s{number}")
    for statement in ("drop schema zorya cascade", "drop function zorya.reset_forced_outcomes()",
                      "create table zorya.mine(id int primary key)", "set zorya.forced_outcomes = off"):
        with pytest.raises(psycopg.Error):
            admin.execute(statement)


def test_a_server_that_was_not_started_for_it_has_nothing_of_it():
    with ScratchServer() as server:
        admin = server.connect("admin")
        assert told(admin, "select zorya.fail_commits('OC000')") == ("3F000", 'schema "zorya" does not exist')
        assert told(admin, "set zorya.forced_outcomes = on")[0] in ("0A000", "42501")
        # An earlier start leaves nothing behind.
        server.stop()
        server.settings |= ON
        server.start()
        server.connect("admin").execute("select zorya.fail_commits('OC000')")
        server.stop()
        del server.settings["zorya.forced_outcomes"]
        server.start()
        admin = server.connect("admin")

        def is_gone():
            state, text = told(admin, "select zorya.fail_commits('OC000')")
            # Until the worker has removed it, it refuses.
            assert (state, text) in (("3F000", 'schema "zorya" does not exist'),
                                     ("0A000", "outcomes cannot be forced: the server was not started for it"))
            return state == "3F000"
        wait_until(is_gone, what="the removal of schema zorya")
        admin.execute("create table t(id int primary key)")
        admin.execute("insert into t values (1)")


def test_a_users_schema_of_that_name_is_left_alone():
    with ScratchServer() as server:
        admin = server.connect("admin")
        admin.execute("create schema zorya")
        admin.execute("create table zorya.t(id int primary key)")
        server.stop()
        server.settings |= ON
        server.start()
        admin = server.connect("admin")
        admin.execute("insert into zorya.t values (1)")
        assert told(admin, "select zorya.fail_commits('OC000')")[0] == "42883"
        assert "schema zorya belongs to a user" in server.log()
        server.stop()
        del server.settings["zorya.forced_outcomes"]
        server.start()
        assert server.connect("admin").execute("select * from zorya.t").fetchone() == (1,)
