"""The verbs beside `up`, against one running instance."""
import json
import os
import re
import subprocess
import tempfile
import pathlib

import pytest
import requests

from support.waiting import wait_until
from support.scratch_server import build_folder
from support.stack import Stack
from support.zorya_up import Up

ZORYA = str(build_folder() / "bin" / "zorya")


@pytest.fixture(scope="module")
def up():
    with tempfile.TemporaryDirectory(prefix="zorya-verbs-") as folder:
        place = pathlib.Path(folder)
        place.chmod(0o755)
        with Up(place, Stack(place).folder) as instance:
            assert requests.get(instance.ready["api_url"] + "/answer", timeout=30).text == "first"
            yield instance


def zorya(up, *words, code=0, **options):
    run = subprocess.run([ZORYA, words[0], "--data", str(up.data), *words[1:]], capture_output=True, text=True,
                         timeout=60, **options)
    assert run.returncode == code, run.stderr + run.stdout
    return run.stdout


def test_status_says_what_runs_and_what_does_not(up):
    text = zorya(up, "status")
    assert f"pid {up.process.pid}, stack stack" in text
    assert "nothing listens on 4566 yet" in text
    assert re.search(r"^isolation +L\d", text, re.M)
    status = json.loads(zorya(up, "status", "--json"))
    assert status["running"] is True and status["aws_endpoint"] is None
    assert [cluster["state"] for cluster in status["clusters"]] == ["ACTIVE"]
    assert [version["state"] for version in status["functions"]] == ["Active"]
    assert status["memory_bytes"] > 1 << 20
    assert isinstance(status["cgroups"], bool)


def test_invoke_answers_as_lambda_does(up):
    answer = json.loads(zorya(up, "invoke", "Answer", '{"path": "/x"}'))
    assert answer == {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "first"}
    result = json.loads(zorya(up, "invoke", "--json", "Answer", "-", input='{"path": "/env"}'))
    assert result["outcome"] == "ok" and up.cluster in result["payload"]
    assert "asked for /env" in result["log_tail"]
    assert "there is no function Gone; there are: Answer" in zorya(up, "invoke", "--json", "Gone", code=1)


def test_logs_are_shown_filtered_and_followed(up):
    zorya(up, "invoke", "Answer", '{"path": "/marked"}')
    wait_until(lambda: "asked for /marked" in zorya(up, "logs", "Answer"), timeout=10, what="the log line")
    lines = zorya(up, "logs", "--json", "--filter", "asked for /marked").splitlines()
    assert lines and all("asked for /marked" in json.loads(line)["message"] for line in lines)
    assert zorya(up, "logs", "--filter", "never said") == ""
    follow = subprocess.Popen([ZORYA, "logs", "--follow", "--filter", "/later", "--data", str(up.data)],
                              stdout=subprocess.PIPE, text=True)
    try:
        zorya(up, "invoke", "Answer", '{"path": "/later"}')
        assert "asked for /later" in follow.stdout.readline()
    finally:
        follow.kill()
        follow.wait()


def test_traces_are_a_list_and_a_tree(up):
    requests.get(up.ready["api_url"] + "/answer", timeout=30)

    def of_requests():
        return [trace for line in zorya(up, "traces", "--json").splitlines()
                if (trace := json.loads(line))["http_method"] == "GET"]
    wait_until(of_requests, timeout=10, what="a trace")
    newest = of_requests()[0]
    assert newest["http_status"] == 200 and newest["http_url"].endswith("/answer")
    assert newest["trace_id"] in zorya(up, "traces")
    tree = zorya(up, "traces", newest["trace_id"])
    assert tree.startswith(newest["trace_id"]) and re.search(r"\+0\.0 ms", tree)
    [root, *_] = json.loads(zorya(up, "traces", "--json", newest["trace_id"]))
    assert root["children"], "the function's segment does not hang below the API's"
    zorya(up, "traces", "1-00000000-000000000000000000000000", code=1)


def test_psql_reaches_the_cluster_with_tls_checked_in_full(up):
    out = zorya(up, "psql", "--", "-At", "-c", "SELECT current_user, 6 * 7")
    assert out == "admin|42\n"
    assert "TLS" in zorya(up, "psql", "--", "-c", "\\conninfo")


def test_the_printed_psql_line_works_in_a_shell(up):
    line = next(line for line in pathlib.Path(up.log.name).read_text().splitlines()
                if line.startswith("  database  PGPASSWORD="))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    run = subprocess.run(["sh", "-c", line.removeprefix("  database  ")], input="SELECT 40 + 2;", capture_output=True,
                         text=True, timeout=60, env=environment, cwd="/")
    assert "42" in run.stdout, run.stderr


def test_a_token_is_the_password_of_its_role_and_time(up):
    token = zorya(up, "token", "--expires-in", "1h").strip()
    assert token.startswith(up.ready["dsql"][0]["endpoint"] + "/?Action=DbConnectAdmin&")
    assert "X-Amz-Expires=3600" in token
    other = json.loads(zorya(up, "token", "--json", "--role", "reader"))
    assert "Action=DbConnect&" in other["token"] and other["role"] == "reader"
    zorya(up, "token", "--expires-in", "8d", code=1)
    zorya(up, "token", "--cluster", "nothing", code=1)


def test_hosts_are_lines_for_etc_hosts(up):
    endpoint = up.ready["dsql"][0]["endpoint"]
    assert zorya(up, "hosts") == f"127.0.0.1 {endpoint}\n"
    assert json.loads(zorya(up, "hosts", "--json")) == [{"host": "127.0.0.1", "name": endpoint}]


def test_verbs_on_a_folder_without_an_instance_say_so(tmp_path):
    for words in (["psql"], ["token"], ["hosts"], ["invoke", "F"], ["logs"], ["traces"], ["reset", "--yes"]):
        run = subprocess.run([ZORYA, *words, "--data", str(tmp_path)], capture_output=True, text=True, timeout=30)
        assert run.returncode == 1, words
        assert str(tmp_path) in run.stderr, words
