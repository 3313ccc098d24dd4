"""What an HTTP client sees of functions that misbehave, and of itself misbehaving, on a real `zorya up`."""
import http.client
import json
import pathlib
import re
import resource
import shutil
import socket
import time
import urllib.parse

import pytest

from support.private_cluster import scratch_folder
from support.zorya_up import Up

TEMPLATE = pathlib.Path(__file__).parent / "template.yaml"
INTERNAL = b'{"message": "Internal server error"}'


@pytest.fixture(scope="module", params=[(), ("--no-cgroups",)], ids=["cgroups", "no-cgroups"])
def up(request):
    folder = scratch_folder()
    try:
        with Up(folder, TEMPLATE, *request.param) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def address(up):
    url = urllib.parse.urlsplit(up.ready["api_url"])
    return url.hostname, url.port


def ask(up, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(*address(up), timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def assert_serves(up):
    answer, body = ask(up, "GET", "/probe/ok")
    assert answer.status == 200, (answer.status, body, answer.getheaders())


@pytest.mark.parametrize("kind, reason", [
    ("throw", "ValueError"), ("sleep", "Sandbox.Timedout"), ("exit", "Runtime.ExitError"), ("eat", "."),
    ("number", "malformed"), ("text", "malformed"), ("null", "malformed"), ("empty", "malformed"), ("unknown", "malformed"),
    ("status", "malformed"), ("broken", "."), ("nothing", "."), ("large", "."), ("split", "malformed"),
    ("bomb", "ExitError|Timedout")])
def test_a_failing_function_is_the_services_502_and_the_next_request_is_served(up, kind, reason):
    answer, body = ask(up, "GET", "/probe/" + kind)
    assert (answer.status, body) == (502, INTERNAL)
    assert answer.getheader("x-amzn-ErrorType") == "InternalServerErrorException"
    assert re.search(reason, answer.getheader("x-zorya-reason")), answer.getheader("x-zorya-reason")
    assert "secret of the function" not in str(answer.getheaders())
    assert answer.getheader("Set-Cookie") is None
    assert_serves(up)


def test_a_wicked_function_finds_walls_and_the_next_request_is_served(up):
    for kind, expected in (("fill", "No space left on device"), ("look", []), ("connect", "refused")):
        answer, body = ask(up, "GET", "/probe/" + kind)
        if kind == "fill" and "Timedout" in answer.getheader("x-zorya-reason", ""):
            assert (answer.status, body) == (502, INTERNAL)  # 3 s may be too short for 512 MB on a busy machine
        else:
            assert answer.status == 200, (kind, body, answer.getheaders())
            assert all(value == expected for value in json.loads(body).values()), body
        if kind == "connect":
            assert 'asked for host "example.org"' in up.tail()
        assert_serves(up)


def test_a_function_that_kills_all_it_can_is_a_502_or_lives_and_the_next_request_is_served(up):
    answer, _ = ask(up, "GET", "/probe/kill")
    assert answer.status in (200, 502)
    assert_serves(up)


def test_ten_megabytes_of_output_harm_nobody(up):
    answer, body = ask(up, "GET", "/probe/print")
    assert answer.status in (200, 502), body  # 3 s may be too short for it on a slow machine
    assert_serves(up)


def test_the_event_is_whole(up):
    path = "/Prod/probe/event/?a=1&a=2%20x"
    answer, body = ask(up, "PUT", path, body="text", headers={"X-Two": "b", "X-Amzn-Trace-Id": "Root=1-5e66d96f-" + "0" * 24})
    assert answer.status == 200
    event = json.loads(body)
    host, port = address(up)
    assert event["resource"] == "/probe/{kind}"
    assert event["path"] == "/probe/event/"
    assert event["httpMethod"] == "PUT"
    assert event["pathParameters"] == {"kind": "event"}
    assert event["queryStringParameters"] == {"a": "2 x"}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2 x"]}
    assert event["headers"]["Host"] == f"{host}:{port}"
    assert event["multiValueHeaders"]["X-Two"] == ["b"]
    assert event["body"] == "text" and event["isBase64Encoded"] is False
    context = event["requestContext"]
    assert context["path"] == "/Prod/probe/event/" and context["stage"] == "Prod"
    assert context["requestId"] == answer.getheader("x-amzn-RequestId")
    assert context["extendedRequestId"] == answer.getheader("x-amz-apigw-id")
    assert context["identity"]["sourceIp"] == "127.0.0.1"
    assert abs(context["requestTimeEpoch"] / 1000 - time.time()) < 60
    assert answer.getheader("X-Amzn-Trace-Id").startswith("Root=1-5e66d96f-" + "0" * 24)


def test_what_is_too_long_is_413(up):
    for size in (7 << 20, 11 << 20):  # over what an invoke takes, over what a request may be
        answer, body = ask(up, "POST", "/probe/ok", body=b"x" * size)
        assert (answer.status, body) == (413, b'{"message":"Request Too Long"}'), size
    assert_serves(up)


def test_no_route_is_403(up):
    for method, path in (("GET", "/"), ("GET", "/probe"), ("TRACE", "/probe/ok"), ("GET", "/probe/a/b")):
        answer, body = ask(up, method, path)
        assert (answer.status, body) == (403, b'{"message":"Missing Authentication Token"}'), path


def test_garbage_is_400_and_half_open_connections_keep_nobody_out(up):
    for garbage in (b"\x16\x03\x01\x02\x00", b"\0\0\0\x08\x04\xd2\x16\x2f", b"hello\n", b"GET / HTTP/2.0\r\n\r\n"):
        with socket.create_connection(address(up), timeout=10) as client:
            client.sendall(garbage)
            assert client.recv(100).startswith(b"HTTP/1.1 400 "), garbage
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard) if hard != resource.RLIM_INFINITY else 4096, hard))
    silent = []
    try:
        for number in range(1000):
            silent.append(socket.create_connection(address(up), timeout=10))
            silent[-1].sendall(b"GET /probe/ok HTTP/1.1\r\nHo" if number % 2 else b"")
            if number % 100 == 0:
                assert_serves(up)
        assert_serves(up)
    finally:
        for client in silent:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert_serves(up)


def test_traces_and_logs_tell_of_a_failure(up):
    answer, _ = ask(up, "GET", "/probe/throw")
    root = re.search("Root=([^;]*)", answer.getheader("X-Amzn-Trace-Id")).group(1)
    names = set()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and "ProbeFunction" not in str(names):
        shown = up.run("traces", root, "--json")
        names = set(re.findall('"origin": ?"([^"]*)"', shown.stdout)) | set(re.findall('"name": ?"([^"]*)"', shown.stdout))
    assert "AWS::ApiGateway::Stage" in shown.stdout, shown.stdout + shown.stderr
    assert "AWS::Lambda" in shown.stdout, shown.stdout
    logs = up.run("logs", "ProbeFunction", "--json")
    assert "REPORT RequestId: " in logs.stdout or "platform.report" in logs.stdout, logs.stdout[-2000:] + logs.stderr
