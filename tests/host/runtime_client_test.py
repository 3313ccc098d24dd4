"""AWS's own Python client, unmodified, against the Runtime API."""

import importlib.util
import json
import pathlib
import shutil

import pytest

from host import Host

BOOTSTRAP = """#!/bin/sh
export PYTHONPATH=/var/task
exec /usr/bin/python3 -m awslambdaric app.handler
"""

APP = """
import os, time

def handler(event, context):
    if event.get("op") == "raise":
        raise ValueError("as asked")
    if event.get("op") == "sleep":
        time.sleep(60)
    if event.get("op") == "big":
        return "x" * event["bytes"]
    return {
        "event": event,
        "id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "left": context.get_remaining_time_in_millis(),
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
    }
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    """A function that carries the client in its package, as for a custom runtime."""
    folder = tmp_path_factory.mktemp("code")
    client = importlib.util.find_spec("awslambdaric")
    site = pathlib.Path(client.origin).parent.parent
    shutil.copytree(site / "awslambdaric", folder / "awslambdaric")
    for name in ("runtime_client*.so", "snapshot_restore_py*", "simplejson"):
        for found in site.glob(name):
            copy = shutil.copytree if found.is_dir() else shutil.copy
            copy(found, folder / found.name)
    (folder / "bootstrap").write_text(BOOTSTRAP)
    (folder / "bootstrap").chmod(0o755)
    (folder / "app.py").write_text(APP)
    for path in [folder, *folder.parents]:
        if path == pathlib.Path("/tmp"):
            break
        path.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def host(code):
    with Host("--code", code, "--runtime", "provided.al2023", "--handler", "app.handler", "--timeout", "2",
              "--memory", "512") as host:
        assert host.publish()["state"] == 1
        yield host


def test_serves(host):
    for number in range(20):
        answer = host.invoke({"number": number})
        assert answer["function_error"] == "", answer
        said = json.loads(answer["payload"])
        assert said["event"] == {"number": number}
        assert said["id"] == answer["request_id"]
        assert said["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:f"
        assert 0 < said["left"] <= 2000


def test_reports_an_exception(host):
    answer = host.invoke({"op": "raise"})
    assert answer["function_error"] == "Unhandled"
    said = json.loads(answer["payload"])
    assert said["errorType"] == "ValueError" and said["errorMessage"] == "as asked"
    assert said["requestId"] == answer["request_id"] and said["stackTrace"]


def test_is_told_of_a_response_that_is_too_large(host):
    answer = host.invoke({"op": "big", "bytes": 6_300_000})
    assert json.loads(answer["payload"])["errorType"] == "Function.ResponseSizeTooLarge"
    assert host.invoke({})["function_error"] == ""


def test_is_reset_by_a_timeout(host):
    answer = host.invoke({"op": "sleep"})
    assert json.loads(answer["payload"])["errorType"] == "Sandbox.Timedout"
    assert host.invoke({})["function_error"] == ""


def test_import_errors_are_told_as_the_client_words_them(code, tmp_path):
    shutil.copytree(code, tmp_path / "code")
    (tmp_path / "code" / "app.py").write_text("import absent_module\n")
    tmp_path.chmod(0o755)
    with Host("--code", tmp_path / "code", "--runtime", "provided.al2023", "--handler", "app.handler") as host:
        host.publish()
        said = json.loads(host.invoke({})["payload"])
        assert said["errorType"] == "Runtime.ImportModuleError"
        assert "No module named 'absent_module'" in said["errorMessage"]
