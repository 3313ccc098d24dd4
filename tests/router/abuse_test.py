"""Bytes and connections that mean no good: the right refusal, no crash, others served meanwhile."""
import os
import random
import resource
import socket
import struct
import threading
import time

import psycopg
import pytest

from raw_client import SSL_REQUEST, RawClient, message, startup
from support.router import RunningRouter


@pytest.fixture(scope="module")
def router(server):
    with RunningRouter(server.folder, login_deadline=5) as running:
        yield running


def assert_serves(router) -> None:
    with router.connect() as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("seed", range(40))
def test_garbage_ends_the_connection_and_nothing_else(router, seed):
    generator = random.Random(seed)
    with RawClient(router.port) as client:
        try:
            stage = seed % 4
            if stage == 1:
                client.send(SSL_REQUEST)
                client.receive_exactly(1)
            elif stage == 2:
                client.start_tls(router.host)
            elif stage == 3:
                client.log_in(router)
            data = generator.randbytes(generator.randrange(1, 3000))
            if stage == 3:  # a type that is none
                data = b"\x01" + data
            client.send(data)
            client.socket.settimeout(8)
            while client.socket.recv(65536):
                pass
        except (OSError, EOFError):
            pass
    if seed % 10 == 0:
        assert_serves(router)


def test_http_on_the_port_is_refused(router):
    with RawClient(router.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.receive_error()["M"] == "invalid length of startup packet"
        assert client.at_end()


@pytest.mark.parametrize("data, text", [
    (struct.pack("!II", 8, 2 << 16), "unsupported frontend protocol 2.0: server supports 3.0 to 3.0"),
    (struct.pack("!I", 7), "invalid length of startup packet"),
    (struct.pack("!I", 10_001), "invalid length of startup packet"),
    (struct.pack("!II", 8, 3 << 16), "invalid startup packet layout: expected terminator as last byte"),
])
def test_malformed_first_packets_are_named(router, data, text):
    with RawClient(router.port) as client:
        client.start_tls(router.host)
        client.send(data)
        assert client.receive_error()["M"] == text
        assert client.at_end()


def test_what_follows_the_request_for_tls_in_clear_is_never_taken(router):
    with RawClient(router.port) as client:  # CVE-2021-23214
        client.send(SSL_REQUEST + startup(user="admin", database="postgres"))
        assert client.receive_exactly(1) == b"S"
        assert client.socket.recv(1000)[:1] != b"R"


def test_direct_tls_needs_the_protocols_name(router):
    with RawClient(router.port) as client:
        client.start_tls(router.host, ask=False)
        assert client.at_end()
    with RawClient(router.port) as client:
        client.start_tls(router.host, ask=False, alpn=("postgresql",))
        client.send(startup(user="admin", database="postgres"))
        assert client.receive() == ("R", b"\0\0\0\3")
    with RawClient(router.port) as client, pytest.raises(OSError):
        client.start_tls(router.host, ask=False, alpn=("http/1.1",))


def test_a_query_in_place_of_the_password_is_refused(router):
    with RawClient(router.port) as client:
        client.start_tls(router.host)
        client.send(startup(user="admin", database="postgres"))
        assert client.receive() == ("R", b"\0\0\0\3")
        client.send(message("Q", b"select 1\0"))
        assert client.receive_error()["M"] == "expected password response"
        assert client.at_end()


def test_a_newer_protocol_is_negotiated_down(router):
    with RawClient(router.port) as client:
        client.start_tls(router.host)
        packet = bytearray(startup(user="admin", database="postgres", **{"_pq_.x": "1"}))
        packet[7] = 2  # 3.2
        client.send(bytes(packet))
        assert client.receive() == ("v", struct.pack("!II", 3 << 16, 1) + b"_pq_.x\0")
        assert client.receive() == ("R", b"\0\0\0\3")


def test_a_message_over_10_mib_is_refused(router):
    with RawClient(router.port) as client:
        client.log_in(router)
        client.send(b"Q" + struct.pack("!I", (10 << 20) + 1) + b"x" * 200_000)
        error = client.receive_error()
        assert (error["S"], error["C"], error["M"]) == ("FATAL", "08P01", "invalid message length")
        assert client.at_end()
    assert_serves(router)


def test_the_largest_message_is_taken(router):
    with router.connect() as connection:
        assert connection.execute("select 1 /*" + "x" * ((10 << 20) - 100) + "*/").fetchone() == (1,)


def test_a_thousand_half_open_connections_stop_nobody(router):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    token = router.token()
    idle = []
    try:
        for i in range(1000):
            connection = socket.create_connection(("127.0.0.1", router.port))
            if i % 3 == 1:
                connection.sendall(SSL_REQUEST)
            elif i % 3 == 2:
                connection.sendall(SSL_REQUEST[:5])
            idle.append(connection)
        begun = time.monotonic()
        router.connect(password=token).close()
        assert time.monotonic() - begun < 4  # before the first of them is ended by its deadline
        # They are ended by the deadline, each of them.
        for connection in idle:
            connection.settimeout(15)
            while connection.recv(10):
                pass
    finally:
        for connection in idle:
            connection.close()
    deadline = time.monotonic() + 10
    while router.ask("status")["half_open"] > 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_above_the_bound_the_oldest_half_open_connection_goes(server):
    with RunningRouter(server.folder, half_open_max=10) as router:
        idle = [socket.create_connection(("127.0.0.1", router.port), timeout=10) for _ in range(30)]
        assert_serves(router)
        assert idle[0].recv(1) == b""
        assert router.ask("status")["half_open"] <= 10
        for connection in idle:
            connection.close()


def test_a_byte_at_a_time_is_served(router):
    """A startup that dribbles is slow, not wrong."""
    with RawClient(router.port) as client:
        for byte in SSL_REQUEST:
            client.send(bytes([byte]))
        assert client.receive_exactly(1) == b"S"


def test_storms_of_connections_leave_others_alone(router):
    stop = threading.Event()

    def storm():
        generator = random.Random(1)
        while not stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", router.port), timeout=5) as connection:
                    connection.sendall(generator.choice([b"", SSL_REQUEST, generator.randbytes(50), b"\x16\x03\x01"]))
            except OSError:
                pass

    threads = [threading.Thread(target=storm) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            assert_serves(router)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert os.path.exists(f"/proc/{router.process.pid}")
    assert router.process.poll() is None
