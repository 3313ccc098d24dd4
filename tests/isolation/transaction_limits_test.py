"""The limits of a transaction: rows, marks, age, and what the adjudicator may remember. Each with its own words."""
import re

import psycopg
import pytest

from support.scratch_server import ScratchServer


@pytest.fixture(scope="module")
def server():
    with ScratchServer(settings={"statement_timeout": "20s"}) as running:
        admin = running.connect("admin")
        admin.execute("create table t(id int primary key, v int)")
        admin.execute("create table parent(id int primary key)")
        admin.execute("create table child(id int primary key, p int references parent on delete cascade)")
        yield running


@pytest.fixture
def admin(server):
    session = server.connect("admin")
    while session.execute("delete from t where id in (select id from t limit 3000)").rowcount:
        pass
    yield session
    session.close()


def refused(session, sql, state, text):
    with pytest.raises(psycopg.Error) as error:
        session.execute(sql)
    assert error.value.sqlstate == state, error.value
    assert text in str(error.value)
    return error.value


def test_exactly_3000_rows_pass_and_one_more_is_told_at_the_statement(admin):
    admin.execute("insert into t select g, 0 from generate_series(1, 3000) g")
    assert admin.execute("select count(*) from t").fetchone() == (3000,)
    refused(admin, "insert into t select g, 0 from generate_series(4001, 7001) g", "54000", "transaction row limit exceeded")
    admin.execute("update t set v = 1")
    admin.execute("insert into t values (5000, 0)")
    refused(admin, "update t set v = 2", "54000", "transaction row limit exceeded")
    refused(admin, "delete from t", "54000", "transaction row limit exceeded")
    assert admin.execute("select sum(v), count(*) from t").fetchone() == (3000, 3001)
    admin.execute("delete from t where id <= 3000")


def test_rows_add_up_over_statements_each_row_once(admin):
    admin.execute("insert into t select g, 0 from generate_series(1, 2000) g")
    admin.execute("begin")
    admin.execute("update t set v = v + 1")
    admin.execute("update t set v = v + 1")
    admin.execute("insert into t select g, 0 from generate_series(3001, 4000) g")
    admin.execute("update t set v = v + 1 where id > 3000")
    refused(admin, "insert into t values (9999, 0)", "54000", "transaction row limit exceeded")
    refused(admin, "select 1", "25P02", "current transaction is aborted")
    admin.execute("rollback")
    assert admin.execute("select sum(v), count(*) from t").fetchone() == (0, 2000)


def test_a_row_that_is_deleted_and_inserted_again_counts_twice(admin):
    admin.execute("insert into t select g, 0 from generate_series(1, 3000) g")
    admin.execute("begin")
    admin.execute("delete from t where id <= 1500")
    admin.execute("insert into t select g, 1 from generate_series(1, 1500) g")
    admin.execute("update t set v = 2 where id <= 1500")  # no more of them
    refused(admin, "update t set v = 2 where id = 1501", "54000", "transaction row limit exceeded")
    admin.execute("rollback")
    admin.execute("begin")
    admin.execute("insert into t select g, 1 from generate_series(3001, 6000) g")
    admin.execute("delete from t where id > 3000")
    refused(admin, "insert into t values (3001, 1)", "54000", "transaction row limit exceeded")
    admin.execute("rollback")


def test_copy_and_cascades_count(admin):
    with pytest.raises(psycopg.Error) as error:
        with admin.cursor().copy("copy t from stdin") as copy:
            for n in range(3001):
                copy.write_row((n, 0))
    assert error.value.sqlstate == "54000"
    admin.execute("insert into parent values (1)")
    for start in (0, 2000):
        admin.execute(f"insert into child select g, 1 from generate_series({start + 1}, {start + 2000}) g")
    refused(admin, "delete from parent", "54000", "transaction row limit exceeded")
    assert admin.execute("select count(*) from child").fetchone() == (4000,)


def test_rows_that_are_only_read_are_bounded_too(server):
    with ScratchServer(settings={"zorya.transaction_marks_max": "100"}) as small:
        admin = small.connect("admin")
        admin.execute("create table t(id int primary key)")
        admin.execute("insert into t select g from generate_series(1, 200) g")
        admin.execute("begin")
        admin.execute("select count(*) from (select 1 from t where id <= 100 for update) s")
        admin.execute("select count(*) from (select 1 from t where id <= 100 for update) s")
        refused(admin, "select 1 from t where id = 101 for update", "54000", "transaction row limit exceeded")


def test_age_is_told_at_the_next_statement_and_at_commit():
    with ScratchServer(settings={"zorya.transaction_age_s_max": "1"}) as quick:
        admin, other = quick.connect("admin"), quick.connect("admin")
        admin.execute("create table t(id int primary key)")
        text = "transaction age limit of 1s exceeded"
        for session in (admin, other):
            session.execute("begin")
            session.execute("insert into t values (%s)" % (1 if session is admin else 2))
            # Runs past the limit, and is not interrupted.
            session.execute("select pg_sleep(1.2)")
        error = refused(admin, "select 1", "54000", text)
        assert re.fullmatch("Current transaction age [1-9]s exceeds 1s", error.diag.message_detail)
        admin.execute("rollback")
        refused(other, "commit", "54000", text)
        assert other.execute("select count(*) from t").fetchone() == (0,)
        # A transaction of its own for each statement: no age.
        admin.execute("select pg_sleep(1.2)")
        admin.execute("select 1")
        # But what writes has a COMMIT, of its only statement or its message.
        for one in ("insert into t select 3 from pg_sleep(1.2)", "insert into t values (3); select pg_sleep(1.2)"):
            refused(admin, one, "54000", text)
        assert other.execute("select count(*) from t").fetchone() == (0,)


def test_when_memory_is_full_a_commit_is_known_as_a_whole_and_nothing_is_forgotten():
    with ScratchServer(settings={"zorya.recent_keys_size": "128kB"}) as tight:
        a, b, c, owner = (tight.connect("admin"), tight.connect("admin"), tight.connect("admin"), tight.connect())
        a.execute("create table t(id int primary key, v int)")
        a.execute("insert into t values (1, 0), (2, 0)")
        b.execute("begin")
        b.execute("update t set v = 1 where id = 1")
        a.execute("insert into t select g, 0 from generate_series(10, 3000) g")
        whole, = owner.execute("select commits_known_as_a_whole from sys.commit_stats()").fetchone()
        assert whole == 1
        # A concurrent commit cannot be told from it: a needless conflict, never a missed one.
        refused(b, "commit", "40001", "(OC000)")
        c.execute("update t set v = 1 where id = 2")
        assert owner.execute("select sum(v) from t").fetchone() == (1,)


def test_an_idle_reader_beside_a_bulk_load_costs_nobody_a_commit():
    """Its snapshot may need every key that is loaded meanwhile, more than there is memory for."""
    with ScratchServer(settings={"zorya.recent_keys_size": "512kB"}) as tight:
        reader, loader, small, late, owner = [tight.connect("admin") for _ in range(4)] + [tight.connect()]
        loader.execute("create table t(id int primary key, v int)")
        loader.execute("create table accounts(id int primary key, v int)")
        loader.execute("insert into accounts select g, 0 from generate_series(1, 10) g")
        for session in (reader, late):
            session.execute("begin")
            session.execute("select count(*) from t")
        for n in range(60):
            small.execute("begin")
            small.execute("update accounts set v = v + 1 where id = %s" % (n % 10 + 1))
            loader.execute("insert into t select g, 0 from generate_series(%s, %s) g" % (n * 1000, n * 1000 + 999))
            small.execute("commit")
        stats = owner.execute("select commits_known_as_a_whole, recent_keys_bytes, recent_keys_bytes_max from sys.commit_stats()")
        whole, size, size_max = stats.fetchone()
        assert whole > 40 and size <= size_max
        assert owner.execute("select count(*) from sys.conflict_stats()").fetchone() == (0,)
        # Who writes by the old snapshot cannot be told from the others. Who only reads goes on.
        late.execute("insert into t values (-1, 0)")
        refused(late, "commit", "40001", "(OC000)")
        reader.execute("commit")
        assert owner.execute("select sum(v) from accounts").fetchone() == (60,)


def test_memory_is_small_at_rest_and_goes_back(server, admin):
    owner = server.connect()
    for round in range(4):
        admin.execute("delete from t")
        admin.execute("insert into t select g, 0 from generate_series(1, 3000) g")
    for n in range(20_000, 20_300):
        admin.execute(f"insert into t values ({n}, 0)")
    keys, size = owner.execute("select recent_keys, recent_keys_bytes from sys.commit_stats()").fetchone()
    assert keys < 1000, keys
    assert size < 256 * 1024, size


def test_a_client_sets_none_of_this(admin):
    for setting in ("zorya.transaction_rows_max = 1", "zorya.transaction_age_s_max = 1", "zorya.recent_keys_size = 1",
                    "zorya.none = 1"):
        with pytest.raises(psycopg.Error):
            admin.execute("set " + setting)


def test_the_owner_is_not_bound(server):
    owner = server.connect()
    owner.execute("create table public.large(id int primary key)")
    owner.execute("insert into public.large select g from generate_series(1, 5000) g")
    owner.execute("drop table public.large")


def shared_kib(pid):
    """What of PostgreSQL's shared memory a backend has touched."""
    total, ours = 0, False
    with open(f"/proc/{pid}/smaps") as maps:
        for line in maps:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                ours = "/dev/zero" in line
            elif ours and line.startswith("Rss:"):
                total += int(line.split()[1])
    return total


def test_memory_of_a_large_load_goes_back_to_the_system():
    with ScratchServer(settings={"shared_buffers": "1MB"}) as running:
        owner, reader = running.connect(), running.connect("admin")
        owner.execute("create table public.t(id int primary key)")
        reader.execute("create table r(id int)")
        reader.execute("begin")
        reader.execute("select * from r")
        pid = owner.info.backend_pid
        start = shared_kib(pid)
        owner.execute("insert into public.t select g from generate_series(1, 150000) g")
        assert shared_kib(pid) - start > 4096
        # The keys are needed as long as the reader's snapshot lives, and not longer.
        owner.execute("insert into public.t select g from generate_series(200001, 200200) g")
        assert owner.execute("select recent_keys from sys.commit_stats()").fetchone()[0] >= 150_000
        reader.execute("commit")
        for round in range(3):
            owner.execute(f"insert into public.t select g from generate_series({300_000 + 1000 * round + 1}, "
                          f"{300_000 + 1000 * round + 1000}) g")
        for n in range(400_000, 401_300):
            owner.execute(f"insert into public.t values ({n})")
        assert owner.execute("select recent_keys from sys.commit_stats()").fetchone()[0] < 2000
        assert shared_kib(pid) - start < 2048
