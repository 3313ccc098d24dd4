"""Forced outcomes of a whole instance: the verb, the example of docs/testing.md as it stands there, and an instance without the option. How
commits fare, in `zorya status`."""
import json
import os
import re
import shutil
import subprocess
import sys

import psycopg
import pytest

from support.private_cluster import scratch_folder
from support.waiting import wait_until
from support.scratch_server import ROOT, build_folder
from support.zorya_up import Up

ZORYA = str(build_folder() / "bin" / "zorya")
TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Db:
    Type: AWS::DSQL::Cluster
    Properties: {DeletionProtectionEnabled: false}
"""


@pytest.fixture(scope="module")
def place():
    folder = scratch_folder()
    (folder / "template.yaml").write_text(TEMPLATE)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def up(place):
    with Up(place, place / "template.yaml", "--forced-outcomes") as instance:
        yield instance


def told(up, *words, code=0):
    run = up.run(*words)
    assert run.returncode == code, run.stderr + run.stdout
    return run.stdout if code == 0 else run.stderr


def test_the_example_of_the_documentation_passes(up, tmp_path):
    [example] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text(), re.DOTALL)
    (tmp_path / "retry_test.py").write_text(example)
    environment = os.environ | {"READY": str(up.ready_file), "DATA": str(up.data), "ZORYA": ZORYA}
    run = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "retry_test.py"], cwd=tmp_path,
                         capture_output=True, text=True, timeout=60, env=environment)
    assert "4 passed" in run.stdout, run.stdout + run.stderr


def test_the_verb_forces_lists_and_forgets(up):
    with up.connect(autocommit=True) as admin:
        admin.execute("create table verb(id int primary key)")
        told(up, "force", "reset")
        assert told(up, "force", "list") == "nothing is forced\n"
        assert re.fullmatch(r"forced, number \d+\n", told(up, "force", "OC001", "--table", "verb", "--count", "2"))
        assert json.loads(told(up, "force", "drop", "--at", "after_apply", "--table", "public.verb", "--json"))["id"] > 0
        with pytest.raises(psycopg.errors.SerializationFailure, match="OC001"):
            admin.execute("insert into verb values (1)")
        assert re.search(r"OC001 +before_verdict +verb +fired 1 of 2\n", told(up, "force", "list"))
        rows = json.loads(told(up, "force", "list", "--json"))["forced"]
        assert [(row["outcome"], row["at_point"], row["of_table"], row["asked"], row["fired"]) for row in rows] == \
            [("OC001", "before_verdict", "verb", 2, 1), ("dropped", "after_apply", "verb", 1, 0)]
        assert told(up, "force", "reset") == "forgotten: 2\n"
        admin.execute("insert into verb values (1)")
        told(up, "force", "OC001", "--at", "statement", "--table", "verb")
        with pytest.raises(psycopg.errors.SerializationFailure, match="OC001"):
            admin.execute("select * from verb")
        told(up, "force", "too-old")
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="age limit of 300s"):
            admin.execute("insert into verb values (2)")


def test_what_cannot_be_forced_is_refused(up):
    assert 'relation "nothing" does not exist' in told(up, "force", "OC000", "--table", "nothing", code=1)
    told(up, "force", "OC000", "--cluster", "nothing", code=1)
    told(up, "force", "OC002", code=2)


def test_status_tells_how_commits_fare(up):
    with up.connect(autocommit=True) as admin, up.connect(autocommit=True) as other:
        admin.execute("create table seen(id int primary key, v int)")
        admin.execute("insert into seen values (1, 0)")
        for session in (admin, other):
            session.execute("begin")
            session.execute("update seen set v = v + 1")
        admin.execute("commit")
        with pytest.raises(psycopg.errors.SerializationFailure):
            other.execute("commit")
        [cluster] = json.loads(told(up, "status", "--json"))["clusters"]
        path = cluster["commit_path"]
        assert path["figures"] == admin.execute("select row_to_json(s) from sys.commit_stats s").fetchone()[0]
        assert path["figures"]["apply_failures"] == 0 and path["figures"]["committed"] > 0
        assert {"table_name": "public.seen", "kind": "row", "conflicts": 1}.items() <= \
            next(row for row in path["conflicts"] if row["table_name"] == "public.seen").items()
        assert {row["part"] for row in path["times"]} == {"verdict", "apply", "flush"}
        assert {"recent_keys", "recent_keys_bytes", "waits_at_bound"} | {
            f"wounds_{how}" for how in ("rolled_back", "copy_failed", "cancelled", "terminated", "aged")} <= set(path["figures"])
        admin.execute("begin")
        admin.execute("select * from seen")
        other.execute("alter table seen add column w int")
        admin.execute("rollback")
        after = json.loads(told(up, "status", "--json"))
        figures = after["clusters"][0]["commit_path"]["figures"]
        assert figures["wounds_rolled_back"] == path["figures"]["wounds_rolled_back"] + 1
        assert {"told", "backends_lost"} <= set(after["sessions"])
        text = told(up, "status")
        assert re.search(r"wounds +[1-9]\d* by schema changes", text)
        assert re.search(r"\d+ committed, \d+ conflicts, heap disagreed 0 times", text)
        assert re.search(r"conflicts .*public\.seen row 1", text)
        assert re.search(r"verdict < .*; apply < .*; flush < ", text)
        assert "outcomes can be forced" in text


def test_an_instance_without_the_option_refuses(place, up):
    """Last: the instance of the others ends, and the same data folder is started again."""
    up.stop()
    limits = [word for limit in ("tables_max=4", "transaction_rows_max=5", "message_bytes_max=20000", "temp_kib_max=64",
                            "transaction_age_s_max=1")
              for word in ("--limit", limit)]
    with Up(place, place / "template.yaml", *limits) as plain:
        refusal = told(plain, "force", "list", code=1)
        assert "the instance was not started for it" in refusal and "--forced-outcomes" in refusal

        def is_gone():
            with plain.connect(autocommit=True) as admin, pytest.raises(psycopg.Error) as caught:
                admin.execute("select zorya.fail_commits('OC000')")
            return caught.value.sqlstate == "3F000"
        wait_until(is_gone, what="the removal of schema zorya")
        assert json.loads(told(plain, "status", "--json"))["forced_outcomes"] is False
        lowered_limits_hold(plain)
    up.start()


def lowered_limits_hold(plain):
    def refused(statement):
        with plain.connect(autocommit=True) as admin, pytest.raises(psycopg.Error) as caught:
            admin.execute(statement)
        return caught.value.sqlstate, caught.value.diag.message_primary
    with plain.connect(autocommit=True) as admin:
        admin.execute("create table fourth(id int primary key)")
    assert refused("create table fifth(id int primary key)") == ("54000", "creating more than 4 tables not allowed")
    assert refused("insert into fourth select g from generate_series(1, 6) g") == ("54000", "transaction row limit exceeded")
    with plain.connect(autocommit=True) as admin:
        admin.execute("begin")
        admin.execute("select * from fourth")
        wait_until(lambda: json.loads(told(plain, "status", "--json"))["clusters"][0]["commit_path"]["figures"]["wounds_aged"] == 1, what="the end of an idle transaction")
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="transaction age limit of 1s exceeded"):
            admin.execute("select 1")
        admin.execute("rollback")
        admin.execute("select 1")
    assert refused("select 1 /*" + "x" * 20_000 + "*/") == ("08P01", "invalid message length")
    assert refused("select g from generate_series(1, 500000) g order by random()") == \
        ("54000", "query requires more than allowed temp space of 64 KB to execute")
