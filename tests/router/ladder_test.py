"""A schema change gets the locks it waits for, whoever holds them, and who lost by it is told so and lives on.

The waits are the server's own: with log_lock_waits each that takes longer than 10 ms is in its log with its length.
"""
import os
import re
import struct
import threading
import time

import psycopg
import pytest

from raw_client import RawClient, message
from support.open_change import OpenChange
from support.router import RunningRouter
from support.scratch_server import ScratchServer
from support.waiting import wait_until

OC001 = ("40001", "schema has been updated by another transaction (OC001)")
ATTEMPTS = 5  # a machine that does other things: an application would try again too
WAIT_MS_MAX = 50


@pytest.fixture(scope="module")
def server():
    settings = {"lock_timeout": "50ms", "deadlock_timeout": "10ms", "log_lock_waits": "on"}
    with ScratchServer(settings=settings) as running:
        yield running


@pytest.fixture
def table(router):
    with router.connect() as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
        connection.execute("INSERT INTO t SELECT g, g FROM generate_series(1, 100) g")
        yield connection
        retried(connection, "DROP TABLE IF EXISTS t")


def lock_waits_ms(server) -> list[float]:
    return [float(ms) for ms in re.findall(r"(?:acquired|still waiting for) .* after ([0-9.]+) ms", server.log())]


def outcome(connection, statement, parameters=None) -> tuple[str, str]:
    try:
        connection.execute(statement, parameters)
        return "", ""
    except psycopg.Error as error:
        return error.sqlstate, error.diag.message_primary


def retried(connection, statement) -> int:
    """As an application does it; the number of attempts."""
    for attempt in range(1, ATTEMPTS + 1):
        result = outcome(connection, statement)
        if result != OC001:
            break
    assert result == ("", ""), result
    return attempt


def counts(router) -> dict[str, int]:
    """The router's own counts, and its server's."""
    with router.connect() as connection:
        cursor = connection.execute("SELECT * FROM sys.commit_stats")
        return router.ask("status") | dict(zip((column.name for column in cursor.description), cursor.fetchone()))


CHANGES = ["ALTER TABLE t ADD COLUMN w int", "DROP TABLE t", "CREATE INDEX ASYNC i ON t (v)"]


# ------------------------------------------------------------------ who idles in a transaction

@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("work", ["SELECT * FROM t", "UPDATE t SET v = 0 WHERE id = 1", "INSERT INTO t VALUES (1000, 1)"])
def test_an_idle_transaction_gives_way(router, server, table, work, change):
    before = counts(router)
    with router.connect() as holder:
        holder.execute("BEGIN")
        holder.execute(work)
        retried(table, change)
        needed = not (work.startswith("SELECT") and "INDEX" in change)  # readers are not in the way of an index
        assert counts(router)["wounds_rolled_back"] - before["wounds_rolled_back"] == (1 if needed else 0)
        if needed:
            assert outcome(holder, "SELECT 1") == OC001
            assert holder.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
            assert outcome(holder, "SELECT 1")[0] == "25P02"
            assert holder.execute("COMMIT").statusmessage == "ROLLBACK"
            assert holder.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            assert counts(router)["wounds_terminated"] == before["wounds_terminated"]
        assert holder.execute("SELECT 1").fetchone() == (1,)
    assert max(lock_waits_ms(server), default=0) <= WAIT_MS_MAX


def test_commit_is_told_and_rollback_is_not(router, table):
    for statement, result in (("COMMIT", OC001), ("ROLLBACK", ("", "")), ("END", OC001), ("/* c */ abort;", ("", ""))):
        for prepare in (False, True):
            with router.connect() as holder:
                holder.execute("BEGIN")
                holder.execute("SELECT * FROM t")
                retried(table, "ALTER TABLE t ADD COLUMN w int")
                cursor = holder.cursor()
                assert outcome(cursor, statement if not prepare else statement.strip(";")) == result
                assert holder.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
                assert outcome(holder, "UPDATE t SET v = 1 WHERE id = 1") == ("", "")
                retried(table, "ALTER TABLE t DROP COLUMN w")


def test_a_prepared_commit_is_told(router, table):
    with router.connect() as holder:
        holder.execute("COMMIT", prepare=True)  # WARNING: no transaction
        for _ in range(2):
            holder.execute("BEGIN")
            holder.execute("SELECT * FROM t")
            retried(table, "ALTER TABLE t ADD COLUMN IF NOT EXISTS w int")
            retried(table, "ALTER TABLE t DROP COLUMN IF EXISTS w")
            with pytest.raises(psycopg.errors.SerializationFailure):
                holder.execute("COMMIT", prepare=True)
            assert holder.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_what_lost_left_nothing_and_may_be_done_again(router, table):
    with router.connect() as holder:
        for attempt in range(2):
            holder.execute("BEGIN")
            holder.execute("UPDATE t SET v = v + 1 WHERE id = 1")
            if attempt == 0:
                retried(table, "ALTER TABLE t ADD COLUMN w int")
                with pytest.raises(psycopg.errors.SerializationFailure):
                    holder.execute("COMMIT")
            else:
                holder.execute("COMMIT")
    assert table.execute("SELECT v FROM t WHERE id = 1").fetchone() == (2,)


def test_a_pipeline_is_told_once(router, table):
    with router.connect() as holder:
        holder.execute("BEGIN")
        holder.execute("SELECT * FROM t")
        retried(table, "ALTER TABLE t ADD COLUMN w int")
        with pytest.raises(psycopg.errors.SerializationFailure):
            with holder.pipeline():
                for _ in range(3):
                    holder.execute("SELECT %s::int", (1,))
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            holder.execute("SELECT 1")
        holder.rollback()
        assert holder.execute("SELECT 1").fetchone() == (1,)


def test_three_holders_give_way_together(router, server, table):
    holders = [router.connect() for _ in range(3)]
    for number, holder in enumerate(holders):
        holder.execute("BEGIN")
        holder.execute("UPDATE t SET v = 0 WHERE id = %s", (number,))
    retried(table, "ALTER TABLE t ADD COLUMN w int")
    for holder in holders:
        assert outcome(holder, "COMMIT") == OC001
        holder.close()
    assert max(lock_waits_ms(server), default=0) <= WAIT_MS_MAX


READS = ["SELECT count(*) FROM t a, t b, t c, t d",  # a hundred million rows
         "BEGIN; SELECT count(*) FROM t; SELECT count(*) FROM generate_series(1, 30) a, generate_series(1, 1000000); COMMIT"]


class BusyReaders:
    """Sessions that use table t and the processors, and begin again at once whenever they are told OC001."""

    def __init__(self, router, count: int):
        token = router.token()
        self.sessions = [router.connect(password=token, prepare_threshold=None) for _ in range(count)]
        self.threads = [threading.Thread(target=self.read, args=(number,)) for number in range(count)]
        self.failures, self.told, self.stopped = [], 0, False

    def __enter__(self) -> "BusyReaders":
        for thread in self.threads:
            thread.start()
        return self

    def read(self, number: int) -> None:
        session = self.sessions[number]
        while not self.stopped:
            result = outcome(session, READS[number % 2])
            session.execute("ROLLBACK")
            if result == OC001:
                self.told += 1
            elif result != ("", "") and not self.stopped:
                self.failures.append(result)
                return

    def __exit__(self, kind, value, trace) -> None:
        self.stopped = True
        while any(thread.is_alive() for thread in self.threads):
            for session in self.sessions:
                session.cancel()
            self.threads[0].join(0.05)
        for session in self.sessions:
            session.close()


def test_many_readers_that_keep_the_processors_busy(router, server, table):
    """They end only when they get a processor, which may be later than a wait may last: the change tries again."""
    readers, rounds = int(os.environ.get("ZORYA_LADDER_READERS", "12")), int(os.environ.get("ZORYA_LADDER_ROUNDS", "2"))
    with BusyReaders(router, readers) as busy:
        with server.connect() as owner:
            running = "SELECT count(*) FROM pg_stat_activity WHERE query IN (%s, %s) AND state = 'active'"
            wait_until(lambda: owner.execute(running, READS).fetchone()[0] >= readers / 2, "they read", 60)
        for _ in range(rounds):
            retried(table, "ALTER TABLE t ADD COLUMN w int")
            for attempt in range(ATTEMPTS):
                table.execute("BEGIN")
                if outcome(table, "ALTER TABLE t DROP COLUMN w") == outcome(table, "COMMIT") == ("", ""):
                    break
                table.execute("ROLLBACK")
            assert attempt < ATTEMPTS - 1
        assert table.execute("SELECT count(*) FROM t").fetchone() == (100,)  # it was told nothing
        assert busy.failures == [] and busy.told > 0
    # A wait ends by a timer after 40 ms, but here who waits gets no processor at once either.
    assert max(lock_waits_ms(server), default=0) <= 2 * WAIT_MS_MAX


def test_who_holds_nothing_that_is_wanted_is_left_alone(router, table):
    with router.connect() as other:
        other.execute("CREATE TABLE u (id int PRIMARY KEY)")
        other.execute("BEGIN")
        other.execute("INSERT INTO u VALUES (1)")
        retried(table, "ALTER TABLE t ADD COLUMN w int")
        other.execute("COMMIT")
        retried(other, "DROP TABLE u")


# ------------------------------------------------------------------ by hand: what no driver does so slowly

def query(text: str) -> bytes:
    return message("Q", text.encode() + b"\0")


def parse(name: str, text: str) -> bytes:
    return message("P", f"{name}\0{text}\0".encode() + b"\0\0")


def bind(portal: str, name: str) -> bytes:
    return message("B", f"{portal}\0{name}\0".encode() + b"\0\0\0\0\0\0")


def execute(portal: str, rows: int = 0) -> bytes:
    return message("E", portal.encode() + b"\0" + struct.pack("!I", rows))


SYNC, FLUSH = message("S"), message("H")


def answers(client) -> list[tuple[str, str]]:
    """Up to ReadyForQuery: types, with SQLSTATE, tag or status."""
    out = []
    for kind, body in client.receive_until("Z"):
        if kind == "E":
            fields = {field[:1].decode(): field[1:].decode() for field in body.split(b"\0") if field}
            out.append((kind, fields["C"]))
        elif kind in "CZ":
            out.append((kind, body.rstrip(b"\0").decode()))
    return out


@pytest.fixture
def client(router):
    with RawClient(router.port, timeout=20) as raw:
        raw.log_in(router)
        yield raw


def assert_usable(client) -> None:
    client.send(query("SELECT 1"))
    assert answers(client) == [("C", "SELECT 1"), ("Z", "I")]


def test_a_suspended_portal_in_a_block(router, server, table, client):
    client.send(query("BEGIN"))
    answers(client)
    client.send(parse("", "SELECT * FROM t") + bind("", "") + execute("", 2) + FLUSH)
    assert client.receive_until("s")[-1] == ("s", b"")
    retried(table, "ALTER TABLE t ADD COLUMN w int")
    client.send(execute("", 2) + SYNC)
    assert answers(client) == [("E", "40001"), ("Z", "E")]
    client.send(parse("", "SELECT 1") + bind("", "") + execute("") + SYNC)
    assert answers(client) == [("E", "25P02"), ("Z", "E")]
    client.send(parse("", "COMMIT") + bind("", "") + execute("") + SYNC)
    assert answers(client) == [("C", "ROLLBACK"), ("Z", "I")]
    assert_usable(client)
    assert max(lock_waits_ms(server), default=0) <= WAIT_MS_MAX


def test_a_suspended_portal_without_a_block(router, table, client):
    client.send(parse("", "SELECT * FROM t") + bind("", "") + execute("", 2) + FLUSH)
    client.receive_until("s")
    retried(table, "ALTER TABLE t ADD COLUMN w int")
    client.send(SYNC)  # it would have been the COMMIT
    assert answers(client) == [("E", "40001"), ("Z", "I")]
    assert_usable(client)


def test_copy_that_waits_for_its_client(router, server, table, client):
    before = counts(router)
    for begin, status in (("SELECT 1", "I"), ("BEGIN", "E")):
        client.send(query(begin))
        answers(client)
        client.send(query("COPY t FROM STDIN"))
        assert client.receive()[0] == "G"
        client.send(message("d", b"1000\t1\n"))
        wait_until(lambda: table.execute("SELECT count(*) FROM t").fetchone() == (100,), "a reader is not held up")
        retried(table, "ALTER TABLE t ADD COLUMN IF NOT EXISTS w int")
        retried(table, "ALTER TABLE t DROP COLUMN IF EXISTS w")
        client.send(message("d", b"1001\t1\n") + message("c"))
        assert answers(client) == [("E", "40001"), ("Z", status)]
    client.send(query("ROLLBACK"))
    assert answers(client) == [("C", "ROLLBACK"), ("Z", "I")]
    assert_usable(client)
    after = counts(router)
    assert after["wounds_copy_failed"] - before["wounds_copy_failed"] == 2
    assert after["wounds_terminated"] == before["wounds_terminated"]
    assert max(lock_waits_ms(server), default=0) <= WAIT_MS_MAX


@pytest.mark.parametrize("begin, status", [("SELECT 1", "I"), ("BEGIN", "E")])
def test_a_statement_that_runs(router, server, table, client, begin, status):
    before = counts(router)
    client.send(query(begin))
    answers(client)
    client.send(query("SELECT pg_sleep(30), * FROM t"))
    with server.connect() as owner:
        wait_until(lambda: owner.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'").fetchone() == (1,),
                   "it runs")
    retried(table, "ALTER TABLE t ADD COLUMN w int")
    assert answers(client) == [("E", "40001"), ("Z", status)]
    if status == "E":
        client.send(query("COMMIT"))
        assert answers(client) == [("C", "ROLLBACK"), ("Z", "I")]
    assert_usable(client)
    after = counts(router)
    assert after["wounds_cancelled"] > before["wounds_cancelled"]
    assert after["told"] - before["told"] == 1


@pytest.mark.parametrize("begin, status", [("SELECT 1", "I"), ("BEGIN", "E")])
def test_a_client_that_does_not_read(router, server, table, client, begin, status):
    """The backend waits for its reader and feels no cancel: the router takes what it has to say."""
    client.send(query(begin))
    answers(client)
    client.send(query("SELECT repeat('x', 1000), a.* FROM t a, generate_series(1, 3000)"))
    with server.connect() as owner:
        wait_until(lambda: owner.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'").fetchone() == (1,),
                   "it waits for its reader")
    terminated = counts(router)["wounds_terminated"]
    retried(table, "ALTER TABLE t ADD COLUMN w int")
    ended = answers(client)
    # If its backend got no processor in time, and was terminated, it could not say whether it had committed.
    lost = counts(router)["wounds_terminated"] > terminated
    assert ended == [("E", "40001"), ("Z", status)] or (lost and ended[0] == ("E", "XX000")), ended
    client.send(query("ROLLBACK"))
    answers(client)
    assert_usable(client)
    assert max(lock_waits_ms(server), default=0) <= WAIT_MS_MAX


def test_half_a_message(router, table, client):
    """Nothing of ours can follow it: the backend is terminated, and another takes its place."""
    before = counts(router)
    client.send(query("BEGIN; SELECT * FROM t") + parse("s", "SELECT $1::text") + SYNC)
    answers(client), answers(client)
    whole = message("B", b"\0s\0" + struct.pack("!HHI", 0, 1, 500_000) + b"x" * 500_000 + b"\0\0")
    client.send(whole[:300_000])
    wait_until(lambda: router.ask("status")["sessions"] >= 2, "it is there")
    attempts = 0
    while counts(router)["wounds_terminated"] == before["wounds_terminated"]:  # the half may still be on its way
        assert outcome(table, f"ALTER TABLE t ADD COLUMN w{attempts} int") in (("", ""), OC001)
        attempts += 1
        assert attempts < 20
    client.send(whole[300_000:] + execute("") + SYNC)
    assert answers(client) == [("E", "40001"), ("Z", "E")]
    client.send(query("ROLLBACK"))
    assert answers(client) == [("C", "ROLLBACK"), ("Z", "I")]
    client.send(whole + execute("") + SYNC)  # the statement that was prepared is there
    assert answers(client) == [("C", "SELECT 1"), ("Z", "I")]
    assert counts(router)["backends_lost"] == before["backends_lost"]


# ------------------------------------------------------------------ others

@pytest.mark.parametrize("kind", ["ordinary", "to prevent wraparound"])
def test_autovacuum_gives_way(kind):
    """PostgreSQL cancels the ordinary one itself after deadlock_timeout, the other never."""
    settings = {"lock_timeout": "50ms", "deadlock_timeout": "10ms", "log_lock_waits": "on", "autovacuum": "on",
                "autovacuum_naptime": "1s", "autovacuum_vacuum_threshold": "1000000", "autovacuum_analyze_threshold": "1000000",
                "autovacuum_freeze_max_age": "100000"}
    with ScratchServer(settings=settings) as server, RunningRouter(server.folder) as router, router.connect() as session:
        session.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        for start in range(0, 9000, 3000):
            session.execute("INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(%s::int, %s::int) g",
                            (start + 1, start + 3000))
        with server.connect() as owner:  # it takes a minute for this table
            owner.execute("ALTER TABLE public.t SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)")
        if kind == "ordinary":
            with server.connect() as owner:
                owner.execute("ALTER TABLE public.t SET (autovacuum_vacuum_threshold = 1)")
            session.execute("DELETE FROM t WHERE id < 2000")
        else:
            make_it_old(server)
        with server.connect() as owner:
            # It says what it will do before it has the table's lock.
            vacuum = "SELECT query FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE query LIKE 'autovacuum: VACUUM public.t%'" \
                     " AND relation = 'public.t'::regclass AND mode = 'ShareUpdateExclusiveLock' AND granted"
            found = wait_until(lambda: owner.execute(vacuum).fetchone(), "autovacuum is at the table", 30)
            assert ("wraparound" in found[0]) == (kind != "ordinary")
        retried(session, "ALTER TABLE t ADD COLUMN w int")
        assert max(lock_waits_ms(server), default=0) <= WAIT_MS_MAX
        if kind != "ordinary":
            assert counts(router)["wounds_cancelled"] > 0


def make_it_old(server) -> None:
    """The next transaction id is 200,000, as after a long life."""
    server.stop()
    with open(server.data / "pg_xact" / "0000", "r+b") as states:
        states.truncate(64 << 10)
    server._run([str(server.programs / "pg_resetwal"), "-x", "200000", "-D", str(server.data)])
    server.start()


def test_a_session_that_is_none_of_the_routers_gives_way(router, server, table):
    with server.connect() as stranger:
        stranger.execute("BEGIN; SELECT * FROM t")
        retried(table, "ALTER TABLE t ADD COLUMN w int")
        with pytest.raises(psycopg.Error):
            stranger.execute("SELECT 1")


def test_schema_changes_queue_for_the_lane_and_do_not_end_each_other(router, table):
    sessions = [router.connect() for _ in range(4)]
    before = counts(router)
    failures = []

    def change(session, number):
        for round_number in range(10):
            for attempt in range(100):
                result = outcome(session, f"CREATE TABLE lane_{number}_{round_number} (id int PRIMARY KEY)")
                if result != OC001:
                    break
                time.sleep(0.002 * number)  # an application's back-off
            if result != ("", ""):
                failures.append(result)

    threads = [threading.Thread(target=change, args=(session, number)) for number, session in enumerate(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    after = counts(router)
    assert all(after[name] == before[name] for name in ("wounds_cancelled", "wounds_terminated"))
    for session in sessions:
        session.close()


@pytest.mark.parametrize("message", ["pipeline", "batch"])
def test_who_keeps_the_lane_and_idles_gives_way(router, table, message):
    """A schema change whose client stops before the end of its transaction, outside of a block that it began with."""
    with router.connect() as holder:
        if message == "batch":
            holder.execute("CREATE TABLE u (id int PRIMARY KEY); BEGIN")
        else:
            OpenChange(holder, "CREATE TABLE u (id int PRIMARY KEY)").__enter__()
        retried(table, "ALTER TABLE t ADD COLUMN w int")
        if message == "batch":
            assert outcome(holder, "SELECT 1") == OC001
    assert outcome(table, "SELECT * FROM u")[0] == "42P01"


def test_a_lost_transaction_is_told_once_and_its_retry_passes(router, table):
    """By the session router, which ended it; its backend knows, and does not say it again."""
    with router.connect() as holder:
        for change, work in (("ALTER TABLE t ADD COLUMN w int", "SELECT * FROM t"),
                             ("ALTER TABLE t DROP COLUMN w", "UPDATE t SET v = 0 WHERE id = 1")):
            holder.execute("BEGIN")
            holder.execute(work)
            retried(table, change)
            assert outcome(holder, "COMMIT") == OC001
            holder.execute("BEGIN")
            assert outcome(holder, work) == ("", "")
            assert outcome(holder, "COMMIT") == ("", "")


class Losing:
    """A session that uses table t and whose backend is ended by somebody else, while nothing runs in it."""

    def __init__(self, router, server):
        self.router, self.server = router, server
        self.session = router.connect()
        self.session.execute("SET application_name = 'losing'")
        assert outcome(self.session, "SELECT * FROM t") == ("", "")

    def lose(self) -> None:
        lost = counts(self.router)["backends_lost"]
        with self.server.connect() as owner:
            owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('losing', 'x')")
        wait_until(lambda: counts(self.router)["backends_lost"] > lost, "the router has seen it")

    def __enter__(self) -> "Losing":
        return self

    def __exit__(self, kind, value, trace) -> None:
        self.session.close()


@pytest.mark.parametrize("begin", ["SELECT", "BEGIN", "BEGIN READ ONLY"])
def test_a_fresh_backend_knows_what_its_session_has_seen(router, server, table, begin):
    """Told once of a change that came after the last look, whichever backend looked; of nothing else."""
    with Losing(router, server) as losing:
        losing.lose()
        assert outcome(losing.session, "SELECT * FROM t") == ("", "")
        losing.lose()
        retried(table, "ALTER TABLE t ADD COLUMN w int")
        if begin != "SELECT":
            losing.session.execute(begin)
        assert outcome(losing.session, "SELECT 1") == OC001
        losing.session.execute("ROLLBACK")
        assert outcome(losing.session, "SELECT * FROM t") == ("", "")
        losing.lose()
        assert outcome(losing.session, "SELECT * FROM t") == ("", "")


def test_a_fresh_backend_is_not_told_of_what_is_new_or_its_sessions_own(router, server, table):
    with Losing(router, server) as losing:
        for change in ("ALTER TABLE t ADD COLUMN w int", "ALTER TABLE t DROP COLUMN w"):
            assert outcome(losing.session, change) == ("", "")
            losing.lose()
            assert outcome(losing.session, "SELECT * FROM t") == ("", "")
            assert outcome(table, "SELECT * FROM t") == OC001
        losing.lose()
        retried(table, "CREATE TABLE u (id int PRIMARY KEY)")
        assert outcome(losing.session, "SELECT * FROM t") == ("", "")
        retried(table, "DROP TABLE u")
        retried(table, "ALTER TABLE t ADD COLUMN w int")
        losing.session.execute("SET application_name = 'x'")  # looks at nothing
        losing.lose()
        assert outcome(losing.session, "SELECT * FROM t") == OC001
        assert outcome(losing.session, "SELECT * FROM t") == ("", "")


def test_nothing_is_left_of_it(router, server, table):
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{router.process.pid}/fd"))

    def backends() -> int:
        with server.connect() as owner:
            return owner.execute("SELECT count(*) FROM pg_stat_activity WHERE usename IN ('admin', 'zorya_control')").fetchone()[0]

    def lose() -> None:
        with router.connect() as holder:
            holder.execute("BEGIN; SELECT * FROM t")
            retried(table, "ALTER TABLE t ADD COLUMN IF NOT EXISTS w int")
            retried(table, "ALTER TABLE t DROP COLUMN w")
            assert outcome(holder, "COMMIT") == OC001

    lose()
    wait_until(lambda: backends() == 2, "the session of this test and the router's own")
    before = descriptors()
    for _ in range(15):
        lose()
    wait_until(lambda: backends() == 2 and descriptors() <= before, "all is closed")


# ------------------------------------------------------------------ age

AGE = ("54000", "transaction age limit of 1s exceeded")


@pytest.fixture(scope="module")
def young(server):
    with RunningRouter(server.folder, transaction_age=1) as running:
        with running.connect() as connection:
            connection.execute("CREATE TABLE aged (id int PRIMARY KEY)")
        yield running
        with running.connect() as connection:
            retried(connection, "DROP TABLE aged")


def test_a_transaction_that_idles_ends_at_its_age(young, server):
    sessions = [young.connect() for _ in range(3)]
    before = counts(young)["wounds_aged"]
    for number, session in enumerate(sessions):
        session.execute("BEGIN")
        session.execute("INSERT INTO aged VALUES (%s)", (number,))
    wait_until(lambda: counts(young)["wounds_aged"] == before + 3, "their age was seen")
    with server.connect() as owner:
        wait_until(lambda: owner.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND usename = 'admin'")
                   .fetchone() == (0,), "their snapshots are gone")
    stated, committed, rolled_back = sessions
    with pytest.raises(psycopg.Error) as caught:
        stated.execute("SELECT 1")
    assert (caught.value.sqlstate, caught.value.diag.message_primary) == AGE
    age = re.fullmatch(r"Current transaction age (\d+)s exceeds 1s", caught.value.diag.message_detail)
    assert age and int(age[1]) >= 1
    assert outcome(stated, "SELECT 1")[0] == "25P02"
    assert stated.execute("COMMIT").statusmessage == "ROLLBACK"
    assert outcome(committed, "COMMIT") == AGE
    assert committed.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert outcome(rolled_back, "ROLLBACK") == ("", "")
    for session in sessions:
        assert session.execute("SELECT count(*) FROM aged").fetchone() == (0,)
        session.close()


def test_a_statement_that_runs_is_not_ended_by_age(young):
    with young.connect() as session:
        before = counts(young)["wounds_aged"]
        session.execute("BEGIN")
        session.execute("SELECT pg_sleep(1.5)")
        wait_until(lambda: counts(young)["wounds_aged"] > before, "its age was seen then")
        assert outcome(session, "SELECT 1") == AGE
        session.execute("ROLLBACK")


def test_copy_that_stalls_ends_at_its_age(young):
    with RawClient(young.port, timeout=20) as raw:
        raw.log_in(young)
        raw.send(query("COPY aged FROM STDIN"))
        assert raw.receive()[0] == "G"
        assert answers(raw) == [("E", "54000"), ("Z", "I")]
        raw.send(message("c"))
        assert_usable(raw)


def test_a_suspended_portal_ends_at_its_age(young):
    with RawClient(young.port, timeout=20) as raw:
        raw.log_in(young)
        before = counts(young)["wounds_aged"]
        raw.send(parse("", "SELECT generate_series(1, 10)") + bind("", "") + execute("", 2) + FLUSH)
        raw.receive_until("s")
        wait_until(lambda: counts(young)["wounds_aged"] == before + 1, "its age was seen")
        raw.send(execute("", 2) + SYNC)
        assert answers(raw) == [("E", "54000"), ("Z", "I")]
        assert_usable(raw)


# ------------------------------------------------------------------ under load

def write(connection, writer: int, number: int, how: str) -> bool:
    """One more, in one transaction; True if it is acknowledged, False if it may be done again."""
    statement = "UPDATE t SET v = v + 1 WHERE id = %s"
    try:
        if how == "alone":
            connection.execute("UPDATE t SET v = v + 1 FROM pg_sleep(0.01) WHERE id = %s", (writer,))
        elif how == "pipeline":
            with connection.pipeline():  # psycopg takes a statement for prepared that failed in a pipeline
                connection.execute("BEGIN", prepare=False)
                connection.execute(statement, (writer,), prepare=False)
                connection.execute("COMMIT", prepare=False)
        else:
            connection.execute("BEGIN", prepare=False)
            connection.execute(statement, (writer,), prepare=how == "prepared")
            time.sleep(0.01)  # the application thinks
            if connection.execute("COMMIT", prepare=how == "prepared").statusmessage != "COMMIT":
                return False
        return True
    except psycopg.Error as error:
        assert error.sqlstate in ("40001", "25P02"), (how, error)
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.execute("ROLLBACK")
        return False


def test_writers_and_schema_changes_at_once(router, server, table):
    """Each writer counts what was acknowledged, and finds just that; schema changes go on the while."""
    seconds = float(os.environ.get("ZORYA_LADDER_SECONDS", "4"))
    writers = 5
    acknowledged, failures, stop = [0] * writers, [], threading.Event()
    before = counts(router)

    def work(writer):
        try:
            with router.connect() as connection:
                number = 0
                while not stop.is_set():
                    number += 1
                    how = ("alone", "block", "prepared", "pipeline")[number % 4]
                    acknowledged[writer] += write(connection, writer + 1, number, how)
        except BaseException as error:  # noqa: BLE001: the test must hear of it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    changes = gave_up = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not failures:
        for change in ("ALTER TABLE t ADD COLUMN w int", "ALTER TABLE t DROP COLUMN w"):
            while (result := outcome(table, change)) == OC001:
                gave_up += 1
            assert result == ("", "")
            changes += 1
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    found = dict(table.execute("SELECT id, v FROM t WHERE id <= %s", (writers,)).fetchall())
    assert [found[writer + 1] - (writer + 1) for writer in range(writers)] == acknowledged
    assert changes > 2 and sum(acknowledged) > 10
    after = counts(router)
    print(f"{changes} schema changes, {gave_up} gave up, {sum(acknowledged)} writes,"
          f" { {name: after[name] - before[name] for name in after if name == 'told' or name.startswith('wounds_')} }")
    assert max(lock_waits_ms(server), default=0) <= WAIT_MS_MAX
