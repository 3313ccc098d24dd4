"""What passes between a client and its backend."""
import os
import signal
import socket
import ssl
import struct
import threading
import time

import psycopg
import pytest

from raw_client import RawClient, message
from support.router import RunningRouter
from support.scratch_server import ScratchServer
from support.waiting import wait_until


@pytest.fixture(scope="module")
def router(server):
    with RunningRouter(server.folder) as running:
        with running.connect() as connection:
            connection.execute("create table items (id int primary key, v text)")
        yield running


def test_ordinary_work(router):
    with router.connect(autocommit=False) as connection:
        connection.execute("insert into items values (1, 'one')")
        connection.execute("update items set v = 'uno' where id = 1")
        connection.commit()
        assert connection.execute("select v from items where id = 1").fetchone() == ("uno",)
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("insert into items values (1, 'again')")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("select 1")
        connection.rollback()


def test_the_second_committer_loses(router):
    with router.connect(autocommit=False) as one, router.connect(autocommit=False) as two:
        one.execute("insert into items values (2, 'a') on conflict do nothing")
        one.commit()
        one.execute("update items set v = 'b' where id = 2")
        two.execute("update items set v = 'c' where id = 2")
        one.commit()
        with pytest.raises(psycopg.errors.SerializationFailure, match=r"\(OC000\)"):
            two.commit()


def test_async_index_returns_its_job_in_both_protocols(router):
    with router.connect() as connection:
        simple = connection.execute("create index async items_v on items (v)")
        assert [column.name for column in simple.description] == ["job_id"]
        assert len(simple.fetchone()[0]) == 26
        extended = connection.execute("CREATE UNIQUE INDEX ASYNC items_w ON items (id, v)", prepare=True)
        assert [column.name for column in extended.description] == ["job_id"]
        assert len(extended.fetchone()[0]) == 26
        assert extended.statusmessage == "CREATE INDEX"
        binary = connection.cursor(binary=True).execute("create index async items_b on items (v, id)")
        assert len(binary.fetchone()[0]) == 26
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="please use CREATE INDEX ASYNC"):
            connection.execute("create index plain on items (v)")
    assert len(router.psql("-c", "create index async if not exists items_x on items (v)").stdout.strip()) == 26


def test_aws_iam_is_refused_by_name(router):
    with router.connect() as connection:
        for prepare in (False, True):
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="AWS IAM GRANT and AWS IAM REVOKE are not supported yet"):
                connection.execute("AWS IAM GRANT app TO 'arn:aws:iam::111122223333:role/Example'", prepare=prepare)
        with pytest.raises(psycopg.errors.SyntaxError):
            connection.execute("awful iam grant")


def test_prepared_statements_and_binary_results(router):
    with router.connect() as connection:
        for i in range(20):
            row = connection.execute("select %s::int + 1, %s::text", (i, "x" * i), prepare=True, binary=True).fetchone()
            assert row == (i + 1, "x" * i)


def test_a_pipeline_keeps_its_order(router):
    with router.connect() as connection:
        with connection.pipeline() as pipeline:
            cursors = [connection.execute("select %s::int", (i,)) for i in range(500)]
            pipeline.sync()
            assert [cursor.fetchone()[0] for cursor in cursors] == list(range(500))
        with pytest.raises(psycopg.errors.DivisionByZero):
            with connection.pipeline():
                connection.execute("select 1")
                connection.execute("select 1 / 0")
                connection.execute("select 2")
        assert connection.execute("select 3").fetchone() == (3,)


def test_big_results_and_big_values(router):
    with router.connect() as connection:
        rows = connection.execute("select i, repeat('x', 100) from generate_series(1, 200000) i").fetchall()
        assert len(rows) == 200_000 and rows[-1] == (200_000, "x" * 100)
        text = "y" * 5_000_000
        assert connection.execute("select length(%s::text), %s::text", (text, text)).fetchone() == (len(text), text)


def test_copy_in_and_out(router):
    with router.connect() as connection:
        connection.execute("create table copied (id int primary key, v text)")
        with connection.cursor() as cursor:
            with cursor.copy("copy copied from stdin") as copy:
                for i in range(2500):
                    copy.write_row((i, f"row {i}" * 20))
            with cursor.copy("copy copied to stdout") as copy:
                assert sum(1 for _ in copy.rows()) == 2500
            with pytest.raises(psycopg.errors.InvalidTextRepresentation):
                with cursor.copy("copy copied from stdin") as copy:
                    copy.write("not a number\n")
            assert cursor.execute("select count(*) from copied").fetchone() == (2500,)
    done = router.psql("-c", "\\copy copied to stdout")
    assert len(done.stdout.splitlines()) == 2500


def test_a_slow_reader_does_not_stop_others_nor_grow_the_router(router):
    def memory_kb() -> int:
        with open(f"/proc/{router.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    with RawClient(router.port) as client:
        client.log_in(router)
        before = memory_kb()
        client.send(message("Q", b"select repeat('x', 1000) from generate_series(1, 300000)\0"))
        assert client.receive()[0] == "T"  # 300 MB are coming; nobody reads them
        with router.connect() as connection:
            for _ in range(50):
                assert connection.execute("select 1").fetchone() == (1,)
        assert memory_kb() - before < 20_000


@pytest.mark.parametrize("how", ["cancel", "cancel_safe"])  # without TLS, and (libpq 17) with it
def test_cancel_reaches_the_statement(router, how):
    with router.connect() as connection:
        begun = time.monotonic()
        timer = threading.Timer(0.3, getattr(connection, how))
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select pg_sleep(30)")
        timer.join()
        assert time.monotonic() - begun < 10
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_cancel_with_a_wrong_key_does_nothing(router):
    with router.connect() as connection, RawClient(router.port) as client:
        client.send(struct.pack("!IIII", 16, 80877102, connection.info.backend_pid, 12345))
        assert client.at_end()
        assert connection.execute("select 1").fetchone() == (1,)
    assert "cancel request with a wrong key" in router.log()


def backends(server) -> list[int]:
    with server.connect() as owner:
        rows = owner.execute("select pid from pg_stat_activity where usename = 'admin'").fetchall()
    return [pid for (pid,) in rows]


def test_the_statement_of_a_client_that_went_is_cancelled(server, router):
    wait_until(lambda: not backends(server), "earlier sessions are gone", 30)
    client = RawClient(router.port)
    client.log_in(router)
    client.send(message("Q", b"select pg_sleep(60)\0"))
    wait_until(lambda: backends(server), "the statement runs", 30)
    client.socket.close()
    wait_until(lambda: not backends(server), "the backend has gone", 30)


def test_the_statement_of_a_client_that_goes_at_once_ends_too(server, router):
    """A cancel that comes before its statement cancels nothing: the backend must see by itself that nobody is there."""
    wait_until(lambda: not backends(server), "earlier sessions are gone", 30)
    for _ in range(30):
        client = RawClient(router.port)
        client.log_in(router)
        client.send(message("Q", b"select pg_sleep(60)\0"))
        client.socket.close()
    wait_until(lambda: not backends(server), "the backends have gone", 30)


def test_nothing_is_left_of_sessions_that_ended(server, router):
    wait_until(lambda: not backends(server), "earlier sessions are gone", 30)
    descriptors = len(os.listdir(f"/proc/{router.process.pid}/fd"))
    for _ in range(30):
        router.connect().close()
    wait_until(lambda: router.ask("status")["sessions"] == 0, "sessions are counted down", 30)
    wait_until(lambda: len(os.listdir(f"/proc/{router.process.pid}/fd")) <= descriptors, "descriptors are closed", 30)
    wait_until(lambda: not backends(server), "backends are gone", 30)


def test_a_backend_that_is_killed_costs_a_statement_and_no_session():
    with ScratchServer() as server, RunningRouter(server.folder, backend_patience=50, login_deadline=60) as own:
        running, idle, in_block, at_commit = (own.connect() for _ in range(4))
        for session in (in_block, at_commit):
            session.execute("begin")
        killer = threading.Timer(0.3, os.kill, (running.execute("select pg_backend_pid()").fetchone()[0], signal.SIGKILL))
        killer.start()
        with pytest.raises(psycopg.Error) as caught:
            running.execute("select pg_sleep(30)")
        assert (caught.value.sqlstate, caught.value.diag.message_primary) == ("XX000", "server unavailable")
        killer.join()
        wait_until(lambda: own.ask("status")["backends_lost"] == 4, "all others of that server are gone too", 30)
        assert idle.execute("select 1").fetchone() == (1,)  # PostgreSQL starts its backends anew; we wait for it
        assert running.execute("select 2").fetchone() == (2,)
        for statement, state in (("select 1", "XX000"), ("select 1", "25P02")):
            with pytest.raises(psycopg.Error) as caught:
                in_block.execute(statement)
            assert caught.value.sqlstate == state
        assert in_block.execute("commit").statusmessage == "ROLLBACK"
        with pytest.raises(psycopg.Error) as caught:
            at_commit.execute("commit")
        assert caught.value.sqlstate == "XX000"
        for session in (in_block, at_commit):
            assert session.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            assert session.execute("select 3").fetchone() == (3,)
        assert own.ask("status")["sessions"] == 4


def test_a_server_that_stays_away_is_unavailable_and_no_session_ends():
    with ScratchServer() as server, RunningRouter(server.folder, backend_patience=1) as own, own.connect() as session:
        server.stop()
        for _ in range(2):
            with pytest.raises(psycopg.Error) as caught:
                session.execute("select 1")
            assert caught.value.sqlstate == "XX000"
        server.start()
        assert session.execute("select 1").fetchone() == (1,)


def test_a_fresh_backend_is_set_as_the_lost_one_was(server):
    """Settings by whatever door, and prepared statements; what a rollback took back stays back."""
    with RunningRouter(server.folder) as own, own.connect(application_name="first", options="-c intervalstyle=iso_8601") as session:
        session.execute("set application_name = 'it''s second'")
        session.execute("select set_config('search_path', 'pg_catalog, public', false)")
        session.execute("set enable_seqscan = off")
        session.execute("begin; set timezone = 'Asia/Tokyo'; rollback")
        statement = "select %s::int + 1, current_setting('search_path'), current_setting('enable_seqscan')"
        session.execute(statement, (1,), prepare=True)
        shown = lambda: session.execute("select string_agg(name || '=' || setting, ' ' order by name) from pg_settings where name in"
                                        " ('application_name', 'intervalstyle', 'search_path', 'enable_seqscan', 'TimeZone')").fetchone()
        before = shown()
        session.execute("begin")
        session.execute("set application_name = 'lost'")
        assert session.info.parameter_status("application_name") == "lost"
        with server.connect() as owner:
            owner.execute("select pg_terminate_backend(%s)", (session.execute("select pg_backend_pid()").fetchone()[0],))
        with pytest.raises(psycopg.Error) as caught:
            session.execute("select 1")
        assert caught.value.sqlstate == "XX000"
        session.execute("rollback")
        assert shown() == before
        assert session.info.parameter_status("application_name") == "it's second"
        assert session.execute(statement, (1,), prepare=True).fetchone() == (2, "pg_catalog, public", "off")
        names = {name for name in (session.info.parameter_status(name) for name in ("search_path", "enable_seqscan", "role")) if name}
        assert not names, "only what PostgreSQL reports is reported"


def test_a_statement_that_meets_a_dead_backend_is_answered():
    """The statement and the backend's end wait for the router together, the statement first."""
    with ScratchServer() as server, RunningRouter(server.folder) as own, RawClient(own.port, timeout=30) as client:
        client.log_in(own)
        (backend,) = backends(server)
        os.kill(own.process.pid, signal.SIGSTOP)
        client.send(message("Q", b"select 1\0"))
        os.kill(backend, signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{backend}"), "the backend has gone", 30)
        os.kill(own.process.pid, signal.SIGCONT)
        error = client.receive_error()
        assert (error["S"], error["C"], error["M"]) == ("ERROR", "XX000", "server unavailable")
        assert client.receive() == ("Z", b"I")


def test_function_call_is_refused_and_the_session_lives(router):
    with RawClient(router.port) as client:
        client.log_in(router)
        client.send(message("Q", b"begin\0") + message("F", struct.pack("!IHHHH", 2880, 0, 0, 0, 0)) + message("Q", b"rollback\0"))
        assert [kind for kind, _ in client.receive_until("Z")] == ["C", "Z"]
        error = client.receive_error()
        assert (error["C"], error["M"]) == ("0A000", "unsupported statement: FunctionCall")
        assert client.receive() == ("Z", b"E")
        assert client.receive_until("Z")[-1] == ("Z", b"I")


def test_a_session_ends_after_its_time(server):
    with RunningRouter(server.folder, session_life=1) as router:
        connection = router.connect()
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("select pg_sleep(30)")
        assert connection.closed
        wait_until(lambda: not backends(server), "the statement was cancelled", 30)


def test_a_router_that_stops_tells_its_clients(server):
    with RunningRouter(server.folder) as router:
        connection = router.connect()
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    with pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")


def test_an_adopted_connection_is_served_as_any_other(router, tmp_path):
    path = str(tmp_path / "s")
    router.say(f"adopt {path}")
    assert router.process.stdout.readline() == '{"listening":true}\n'
    client = RawClient.__new__(RawClient)
    client.socket = socket.socket(socket.AF_UNIX)
    client.socket.settimeout(10)
    client.socket.connect(path)
    client.log_in(router)
    client.send(message("Q", b"select 7\0"))
    assert ("D", b"\0\1\0\0\0\0017") in client.receive_until("Z")
    client.socket.close()


def test_the_version_and_key_that_clients_see_are_ours(server, router):
    with RawClient(router.port) as client:
        client.log_in(router)
        greeting = dict()
        for kind, body in client.greeting:
            greeting.setdefault(kind, []).append(body)
        assert b"server_version\00016.15\0" in greeting["S"]
        pid, _ = struct.unpack("!II", greeting["K"][0])
        assert pid not in backends(server)


def test_tls_1_2_works_and_1_1_does_not(router):
    for version, works in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)):
        connect = lambda: router.connect(ssl_min_protocol_version="TLSv1", ssl_max_protocol_version=version.name.replace("_", "."))
        if works:
            with connect() as connection:
                assert connection.execute("select 1").fetchone() == (1,)
        else:
            with pytest.raises(psycopg.OperationalError):
                connect()
