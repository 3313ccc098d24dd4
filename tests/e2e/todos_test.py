"""The examples as a user starts them: one API in two languages, one database, every way to its rows."""
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

import boto3
import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "contract"))
import contract_test  # noqa: E402
from support.scratch_server import ROOT, build_folder  # noqa: E402
from support.zorya_up import Up  # noqa: E402

LITERAL_ID = "4zzzzzzzzzzzzzzzzzzzzzzzz4"
PYTHON = ("examples/todos", "--nearest-runtime")
CPP = ("examples/todos-cpp",)


@pytest.fixture(scope="module")
def place():
    """One folder for all: packages are installed once. The users of PostgreSQL and of environments pass through it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="zorya-todos-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def start(place, example):
    template, *options = example
    return Up(place, ROOT / template, *options)


def check_contract(base_url):
    done = subprocess.run([sys.executable, contract_test.__file__, base_url], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-6000:]


def call(up, method, path, body=None):
    contract_test.base_url = up.ready["api_url"]
    return contract_test.call(method, path, body)


def titles(up):
    return [todo["title"] for todo in call(up, "GET", "/todos?limit=100").json()["todos"]]


def parameters(up):
    """As an application connects: the name of the cluster, a token made by boto3, everything verified."""
    cluster = up.ready["dsql"][0]
    client = boto3.client("dsql", region_name=cluster["region"], aws_access_key_id=up.ready["access_key_id"],
                          aws_secret_access_key=up.ready["secret_access_key"])
    token = client.generate_db_connect_admin_auth_token(cluster["endpoint"], cluster["region"])
    return {"host": cluster["endpoint"], "hostaddr": cluster["host"], "port": cluster["port"], "user": "admin",
            "dbname": "postgres", "password": token, "sslmode": "verify-full", "sslrootcert": up.ready["ca_file"]}


@pytest.mark.parametrize("example", [PYTHON, CPP], ids=["python", "cpp"])
def test_the_contract_holds(place, example):
    with start(place, example) as up:
        check_contract(up.ready["api_url"])
        check_contract(up.ready["api_url"] + "/Prod")  # the form of execute-api


@pytest.mark.parametrize("example", [PYTHON, CPP], ids=["python", "cpp"])
def test_every_conflict_is_run_again(place, example):
    """Eight writers of one row, whose transactions overlap: the function retries, so that no client sees 40001."""
    with start(place, example) as up:
        todo = call(up, "POST", "/todos", {"title": "contended"}).json()
        path = "/todos/" + todo["id"]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: call(up, "PUT", path, {"title": f"t{i}"}), range(200)))
        assert {answer.status for answer in answers} == {200}
        assert call(up, "GET", path).json()["title"] in {f"t{i}" for i in range(200)}
        call(up, "DELETE", path)


@pytest.mark.parametrize("example", [PYTHON, CPP], ids=["python", "cpp"])
def test_of_first_users_who_race_for_the_table_each_is_served(place, example):
    with start(place, example) as up:
        with psycopg.connect(autocommit=True, **parameters(up)) as connection:
            connection.execute("DROP TABLE IF EXISTS todos")
            with concurrent.futures.ThreadPoolExecutor(12) as pool:
                answers = list(pool.map(lambda i: call(up, "POST", "/todos", {"title": f"first {i}"}), range(12)))
            assert [answer.status for answer in answers] == [201] * 12, [answer.body for answer in answers]
            assert sorted(titles(up)) == sorted(f"first {i}" for i in range(12))
            assert connection.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 'todos'").fetchone() == (2,)


def test_rows_are_the_same_by_every_way_and_survive(place):
    """One cluster, named by a literal endpoint in two templates, through both functions, psql and a stock client."""
    with start(place, ("tests/e2e/templates/todos_literal_endpoint", "--nearest-runtime")) as up:
        assert [cluster["id"] for cluster in up.ready["dsql"]] == [LITERAL_ID]
        assert LITERAL_ID in up.tail(), "a cluster that no template makes is announced"
        for title in ("one", "zwei", "três"):
            assert call(up, "POST", "/todos", {"title": title}).status == 201
        assert titles(up) == ["one", "zwei", "três"]
        up.stop()
        assert up.process.returncode == 0
    # The same cluster from the C++ function, after Ctrl-C and a second start.
    with start(place, ("tests/e2e/templates/todos_cpp_literal_endpoint",)) as up:
        assert [cluster["id"] for cluster in up.ready["dsql"]] == [LITERAL_ID]
        assert titles(up) == ["one", "zwei", "três"]
        assert call(up, "POST", "/todos", {"title": "quatre"}).status == 201
        query = "SELECT title FROM todos ORDER BY created_at, id"
        expected = ["one", "zwei", "três", "quatre"]
        with psycopg.connect(autocommit=True, **parameters(up)) as connection:
            assert [row[0] for row in connection.execute(query)] == expected
        words = " ".join(f"{name}='{value}'" for name, value in parameters(up).items() if name != "password")
        environ = os.environ | {"PGPASSWORD": parameters(up)["password"], "PSQLRC": "/dev/null"}
        done = subprocess.run(["psql", "-XAt", words, "-c", query], capture_output=True, text=True, timeout=60, env=environ)
        assert done.stdout.split("\n")[:-1] == expected, done.stderr
        done = subprocess.run([build_folder() / "bin/zorya", "psql", "--data", up.data, "--", "-XAt", "-c", query],
                              capture_output=True, text=True, timeout=60)
        assert done.stdout.split("\n")[:-1] == expected, done.stderr


def test_a_wrong_request_is_answered_by_the_service_and_not_by_the_function(place):
    with start(place, CPP) as up:
        answer = call(up, "PATCH", "/todos")
        assert (answer.status, answer.json()) == (403, {"message": "Missing Authentication Token"})
        answer = call(up, "GET", "/todos?after=" + urllib.parse.quote("2026-02-30T00:00:00.000000Z_" + "0" * 36))
        assert answer.status == 400, json.dumps(answer.json())


def test_the_examples_know_nothing_of_us():
    for name in ("todos", "todos-cpp"):
        for path in (ROOT / "examples" / name).rglob("*"):
            if path.suffix in (".py", ".cc", ".h", ".yaml"):
                assert "zorya" not in path.read_text().lower(), path
