"""`zorya up` as its user meets it: side by side, on busy ports, with changes while it runs, and what it leaves."""
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import tempfile

import pytest
import requests

from support import plain_user
from support.waiting import wait_until
from support.scratch_server import build_folder
from support.stack import BOOTSTRAP, CLUSTER, Stack
from support.zorya_up import Up

ZORYA = str(build_folder() / "bin" / "zorya")


@pytest.fixture
def place():
    """A folder that the database's user can pass through. Not pytest's: that is closed to others, and again by each run."""
    with tempfile.TemporaryDirectory(prefix="zorya-up-") as folder:
        path = pathlib.Path(folder)
        path.chmod(0o755)
        yield path


def zorya(*words, timeout=60, **options):
    return subprocess.run([ZORYA, *map(str, words)], capture_output=True, text=True, timeout=timeout, **options)


def processes_naming(place):
    """Those whose command line names the test's folder."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            line = open(f"/proc/{entry}/cmdline", "rb").read() if entry.isdigit() else b""
        except OSError:
            continue
        if str(place).encode() in line:
            found.append(line)
    return found


def get(up, path):
    return requests.get(up.ready["api_url"] + path, timeout=40)


def test_two_instances_stand_side_by_side(place):
    stack = Stack(place)
    (place / "a").mkdir()
    (place / "b").mkdir()
    with Up(place / "a", stack.folder) as first, Up(place / "b", stack.folder) as second:
        assert first.cluster != second.cluster, "two instances share an id"
        assert first.ports != second.ports
        for up, rows in ((first, 1), (second, 0)):
            with up.connect(autocommit=True) as connection:
                connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
                for row in range(rows):
                    connection.execute("INSERT INTO t VALUES (%s)", [row])
                assert connection.execute("SELECT count(*) FROM t").fetchone() == (rows,)
            assert get(up, "/answer").text == "first"
            assert get(up, "/env").text == up.ready["dsql"][0]["endpoint"]


def test_the_ready_file_says_where_everything_is(place):
    stack = Stack(place)
    with Up(place, stack.folder) as up:
        ready = up.ready
        assert set(ready) == {"api_url", "dsql", "ca_file", "access_key_id", "secret_access_key", "region", "pid"}
        [cluster] = ready["dsql"]
        assert cluster["endpoint"] == cluster["id"] + ".dsql.us-east-1.on.aws"
        assert (cluster["host"], cluster["region"], ready["pid"]) == ("127.0.0.1", "us-east-1", up.process.pid)
        assert stat.S_IMODE(up.ready_file.stat().st_mode) == 0o600
        told = (up.data / "instance.json").read_text()
        assert stat.S_IMODE((up.data / "instance.json").stat().st_mode) == 0o600
        assert ready["secret_access_key"] not in told + up.tail()
    for gone in (up.ready_file, up.data / "instance.json", up.data / "control.sock"):
        assert not gone.exists(), f"{gone} is left"
    assert list(up.data.glob("telemetry.sqlite*")) == [up.data / "telemetry.sqlite"]
    assert up.process.returncode == 0


def test_rows_and_ids_survive_a_second_start(place):
    stack = Stack(place)
    with Up(place, stack.folder) as up:
        before = up.cluster
        with up.connect(autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
            connection.execute("INSERT INTO t VALUES (7)")
    with Up(place, stack.folder) as up:
        assert up.cluster == before
        with up.connect(autocommit=True) as connection:
            assert connection.execute("SELECT id FROM t").fetchall() == [(7,)]


def test_a_busy_port_that_was_asked_for_is_an_error(place):
    stack = Stack(place)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        for option in ("--port", "--dsql-port"):
            other = "--dsql-port" if option == "--port" else "--port"
            run = zorya("up", stack.folder, "--data", place / "data", option, port, other, 0)
            assert run.returncode == 1
            assert str(port) in run.stderr


def test_a_busy_usual_port_is_replaced_and_said(place):
    stack = Stack(place)
    with socket.socket() as busy:
        try:
            busy.bind(("127.0.0.1", 3000))
            busy.listen()
        except OSError:
            pass  # someone else has it: as good
        up = Up(place, stack.folder)
        process = subprocess.Popen([ZORYA, "up", str(stack.folder), "--data", str(up.data), "--dsql-port", "0"],
                                   stdout=subprocess.PIPE, text=True, cwd="/")
        try:
            said = ""
            for line in process.stdout:
                said += line
                if "API" in line:
                    break
            assert "port 3000 is taken: HTTP gets a free one" in said
            assert "127.0.0.1:3000" not in said.splitlines()[-1]
        finally:
            process.terminate()
            assert process.wait(timeout=30) == 0
            up.log.close()


def test_a_second_start_on_one_folder_says_who_holds_it(place):
    stack = Stack(place)
    with Up(place, stack.folder) as up:
        run = zorya("up", stack.folder, "--data", up.data, "--port", 0, "--dsql-port", 0)
        assert run.returncode == 1
        assert f"in use by process {up.process.pid}" in run.stderr
        assert get(up, "/answer").status_code == 200, "the first one suffered"


def test_a_change_is_live_on_the_next_request(place):
    stack = Stack(place)
    with Up(place, stack.folder) as up:
        assert get(up, "/answer").text == "first"
        for text in ("second", "third"):
            stack.answer(text)
            assert get(up, "/answer").text == text
        stack.write_template((stack.folder / "template.yaml").read_text().replace("/answer,", "/question,"))
        assert get(up, "/question").text == "third"
        assert get(up, "/answer").status_code == 403


def test_a_change_that_cannot_be_published_is_told_until_it_is_mended(place):
    stack = Stack(place)
    right = (stack.folder / "template.yaml").read_text()
    with Up(place, stack.folder) as up:
        stack.write_template(right.replace("Method: GET", "Methods: GET", 1))
        for _ in range(2):
            answer = get(up, "/answer")
            assert answer.status_code == 502
            assert answer.json() == {"message": "Internal server error"}
            assert "Property 'Method' is required. SAM calls this Method" in answer.headers["x-zorya-reason"]
        assert "SAM calls this Method" in up.tail()
        stack.write_template(right)
        assert get(up, "/answer").text == "first"
        (stack.folder / "code" / "bootstrap").unlink()
        assert get(up, "/answer").status_code == 502
        assert "✗ function Answer" in up.tail()
        stack.write_code("bootstrap", "#!/bin/false\n", mode=0o755)
        assert get(up, "/answer").status_code == 502


def test_a_bad_template_shows_all_refusals_and_starts_nothing(place):
    stack = Stack(place)
    stack.write_template("""\
        Transform: AWS::Serverless-2016-10-31
        Resources:
          F:
            Type: AWS::Serverless::Function
            Properties: {Runtime: python3.11, Handler: a.b, CodeUri: code, SnapStart: {ApplyOn: PublishedVersions}}
          T: {Type: AWS::DynamoDB::Table}
        """)
    run = zorya("up", stack.folder, "--data", place / "data")
    assert run.returncode == 1
    assert "template.yaml:5:" in run.stdout
    assert "python3.11 is not supported for SnapStart enabled functions." in run.stdout
    assert "template.yaml:6:" in run.stdout and "AWS::DynamoDB::Table is not supported yet" in run.stdout
    assert not (place / "data" / "clusters").exists()


def test_a_template_that_is_not_there_makes_nothing(place):
    run = zorya("up", place / "nowhere", "--data", place / "data")
    assert run.returncode == 1 and "there is no" in run.stderr
    assert not (place / "data").exists()


def test_a_resource_that_left_the_template_is_kept_and_reported(place):
    stack = Stack(place)
    with Up(place, stack.folder) as up:
        first = up.cluster
        with up.connect(autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    stack.write_template(endpoint="!GetAtt Other.Endpoint", more=CLUSTER.replace("Db:", "Other:"))
    with Up(place, stack.folder) as up:
        assert up.cluster != first
        assert f"database cluster {first} (Db) is not in the template any more: it is kept, with its rows" in up.tail()
    stack.write_template()
    with Up(place, stack.folder) as up:
        assert up.cluster == first
        with up.connect(autocommit=True) as connection:
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_literal_endpoint_gets_a_cluster_of_that_id(place):
    stack = Stack(place)
    cluster = "abcdefghijklmnopqrstuvwx01"
    stack.write_template(endpoint=f"{cluster}.dsql.us-east-1.on.aws", more="")
    with Up(place, stack.folder) as up:
        assert up.cluster == cluster
        assert "made, as a variable names its endpoint" in up.tail()
        with up.connect(autocommit=True) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_an_environment_trusts_the_local_authority_alone(place):
    stack = Stack(place)
    stack.write_code("bootstrap", BOOTSTRAP.replace('os.environ["LAMBDA_TASK_ROOT"] + "/answer.txt"',
                                                    '"/etc/pki/tls/certs/ca-bundle.crt"'), mode=0o755)
    with Up(place, stack.folder) as up:
        assert get(up, "/answer").text == pathlib.Path(up.ready["ca_file"]).read_text().strip()


def test_ctrl_c_before_it_is_ready_ends_everything(place):
    stack = Stack(place)
    # INIT never ends: the first publish waits for it.
    stack.write_code("bootstrap", "#!/bin/sh\nexec /bin/sleep 1000\n", mode=0o755)
    process = subprocess.Popen([ZORYA, "up", str(stack.folder), "--data", str(place / "data"), "--port", "0", "--dsql-port", "0"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", start_new_session=True)
    try:
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=40)
    finally:
        process.kill()
    assert process.returncode in (0, 1), first + rest
    assert not processes_naming(place), "processes are left"


def test_ctrl_c_does_not_wait_for_an_invoke_that_runs(place):
    stack = Stack(place)
    stack.write_code("bootstrap", (stack.folder / "code" / "bootstrap").read_text().replace(
        "    print(", "    import time; time.sleep(8 if event.get('sleep') else 0)\n    print("), mode=0o755)
    with Up(place, stack.folder) as up:
        invoke = subprocess.Popen([ZORYA, "invoke", "--data", str(up.data), "--json", "Answer", '{"sleep": true}'],
                                  stdout=subprocess.PIPE, text=True)
        wait_until(lambda: json.loads(zorya("status", "--json", "--data", up.data).stdout)["environments"]["busy"] == 1,
                   timeout=20, what="the invoke")
        up.stop()
        assert "zorya stops" in invoke.communicate(timeout=10)[0]
        assert (invoke.returncode, up.process.returncode) == (1, 0)


def test_a_pipe_that_nobody_reads_holds_nothing_up(place):
    stack = Stack(place)
    stack.write_code("bootstrap", (stack.folder / "code" / "bootstrap").read_text().replace(
        'print("asked for"', 'print("x" * 100_000); print("asked for"'), mode=0o755)
    process = subprocess.Popen([ZORYA, "up", str(stack.folder), "--data", str(place / "data"), "--port", "0", "--dsql-port", "0",
                                "--ready-file", str(place / "ready.json")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/")
    try:
        wait_until((place / "ready.json").exists, timeout=90, what="zorya up")
        url = json.loads((place / "ready.json").read_text())["api_url"]
        for text in ("one", "two", "three"):
            stack.answer(text)
            assert requests.get(url + "/answer", timeout=30).text == text
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.stdout.close()


@plain_user.needs_root
def test_a_plain_user_needs_no_root(place):
    stack = Stack(place)
    home = plain_user.own_folder(place / "home")
    program = plain_user.copy_build(place, "zorya") / "bin" / "zorya"
    as_user = plain_user.as_plain_user("env", "-i", f"HOME={home}", "PATH=/usr/bin:/bin", program)
    process = subprocess.Popen([*as_user, "up", str(stack.folder), "--port", "0", "--dsql-port", "0", "--json"],
                               stdout=subprocess.PIPE, text=True, cwd="/")
    try:
        ready = next((line for line in process.stdout if line.startswith('{"ready"')), None)
        assert ready, "it ended before it was ready"
        url = json.loads(ready)["ready"]["api_url"]
        assert requests.get(url + "/answer", timeout=30).text == "first"
        rows = subprocess.run([*as_user, "psql", "--", "-Atc", "SELECT 1"], capture_output=True, text=True, timeout=30, cwd="/")
        assert rows.stdout == "1\n", rows.stderr
        assert (home / ".local/share/zorya/instance.json").stat().st_uid == plain_user.UID
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=40) == 0
    assert not processes_naming(place), "processes are left"


def test_reset_removes_what_was_made_and_nothing_else(place):
    stack = Stack(place)
    with Up(place, stack.folder) as up:
        (up.data / "mine.txt").write_text("kept")
        run = zorya("reset", "--yes", "--data", up.data)
        assert run.returncode == 1 and f"in use by process {up.process.pid}" in run.stderr
    run = zorya("reset", "--data", up.data, stdin=subprocess.DEVNULL)
    assert run.returncode == 1 and "nothing was removed" in run.stderr
    assert (up.data / "clusters").exists()
    run = zorya("reset", "--yes", "--data", up.data)
    assert run.returncode == 0, run.stderr
    assert os.listdir(up.data) == ["mine.txt"]
    assert "kept, not zorya's: mine.txt" in run.stdout
    assert zorya("reset", "--yes", "--data", place).returncode == 1, "a folder that is not an instance's was taken"
    assert json.loads(zorya("status", "--json", "--data", up.data).stdout)["running"] is False
