"""The function kit's DsqlConnection against the session router: token, TLS, statements, errors, lost sessions."""
import json
import os
import subprocess

import pytest

from support.router import REGION, RunningRouter
from support.scratch_server import build_folder


class Kit:
    def __init__(self, router, age_max_minutes=55, **changes):
        given = {"endpoint": router.host, "ca_file": router.ca_file, "secret": router.info["secret_access_key"]} | changes
        environment = {"PATH": "/usr/bin:/bin", "PGHOSTADDR": "127.0.0.1", "AWS_ACCESS_KEY_ID": router.info["access_key_id"],
                       "AWS_SECRET_ACCESS_KEY": given["secret"], "HOME": "/nonexistent"}
        self.process = subprocess.Popen(
            [build_folder() / "bin" / "zorya_dsql_tool", given["endpoint"], REGION, str(router.port), given["ca_file"],
             str(age_max_minutes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(20) == 0
        self.process.stdout.close()

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def run(self, sql, *parameters):
        return self.ask(sql=sql, parameters=parameters)

    def value(self, sql, *parameters):
        answer = self.run(sql, *parameters)
        assert "rows" in answer, answer
        return answer["rows"][0][0]


@pytest.fixture
def table(router):
    with router.connect() as connection:
        connection.execute("CREATE TABLE kit (id int PRIMARY KEY, s text)")
        yield "kit"
        connection.execute("DROP TABLE kit")


def test_rows_nulls_and_counts(router, table):
    with Kit(router) as kit:
        answer = kit.run("INSERT INTO kit VALUES ($1, $2), (2, $3) RETURNING s, id", "1", "ü\n'\\", None)
        assert answer == {"columns": ["s", "id"], "rows": [["ü\n'\\", "1"], [None, "2"]], "affected": 2}
        assert kit.run("UPDATE kit SET s = 'x' WHERE id > $1", "1") == {"columns": [], "rows": [], "affected": 1}
        assert kit.run("") == {"columns": [], "rows": [], "affected": 0}
        assert kit.run("SELECT s FROM kit WHERE false")["rows"] == []


def test_errors_carry_their_sqlstate_and_the_session_goes_on(router, table):
    with Kit(router) as kit:
        session = kit.value("SELECT pg_backend_pid()")
        answer = kit.run("SELECT 1 / $1::int", "0")
        assert (answer["sqlstate"], answer["error"], answer["lost"]) == ("22012", "division by zero", False)
        assert kit.run("SELECT nothing FROM nowhere")["sqlstate"] == "42P01"
        assert kit.value("SELECT pg_backend_pid()") == session


def test_a_conflict_is_40001(router, table):
    with Kit(router) as kit, router.connect() as other:
        kit.run("INSERT INTO kit VALUES (1, '')")
        kit.run("BEGIN")
        assert kit.run("UPDATE kit SET s = 'mine' WHERE id = 1")["affected"] == 1
        other.execute("UPDATE kit SET s = 'theirs' WHERE id = 1")
        answer = kit.run("COMMIT")
        assert answer["sqlstate"] == "40001" and "(OC000)" in answer["error"] and not answer["lost"]
        assert kit.value("SELECT s FROM kit") == "theirs"


def test_a_lost_session_is_told_and_nothing_of_its_block_runs_alone(server, table):
    # A router that ends each session after a second.
    with RunningRouter(server.folder, session_life=1) as brief, Kit(brief) as kit:
        answer = kit.run("SELECT pg_sleep(30)")
        assert answer["lost"] and answer["sqlstate"] == "08006", answer
        assert kit.run("BEGIN")["affected"] == 0  # in a new session
        assert kit.run("INSERT INTO kit VALUES (7, '')")["affected"] == 1
        assert kit.run("SELECT pg_sleep(30)")["lost"]
        answer = kit.run("INSERT INTO kit VALUES (8, '')")
        assert answer["lost"] and "inside a transaction" in answer["error"], answer
        assert kit.value("SELECT count(*) FROM kit") == "0"


def test_an_old_session_is_left_between_transactions_only(router):
    with Kit(router, age_max_minutes=0) as kit:
        assert kit.value("SELECT pg_backend_pid()") != kit.value("SELECT pg_backend_pid()")
        kit.run("BEGIN")
        assert kit.value("SELECT pg_backend_pid()") == kit.value("SELECT pg_backend_pid()")
        kit.run("ROLLBACK")


def test_a_closed_connection_opens_again(router):
    with Kit(router) as kit:
        assert kit.value("SELECT 1") == "1"
        assert kit.ask(close=True) == {}
        assert kit.value("SELECT 1") == "1"


@pytest.mark.parametrize("changes, text", [
    ({"secret": "x" * 40}, "access denied"),
    ({"endpoint": "zbcdefghijklmnopqrstuvwx01.dsql.us-east-1.on.aws"}, "does not match host name"),
    ({"endpoint": "localhost"}, "access denied"),
    ({"ca_file": "/nowhere"}, "/nowhere"),
    ({"ca_file": os.devnull}, "certificate"),
])
def test_what_cannot_be_connected_to_says_why(router, changes, text):
    with Kit(router, **changes) as kit:
        answer = kit.run("SELECT 1")
        assert (answer["sqlstate"], answer["lost"]) == ("08006", True)
        assert text in answer["error"], answer
