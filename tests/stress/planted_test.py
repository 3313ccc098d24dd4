"""The tests of the tests: each fault planted in the module must be found by the checks that the sound one passes."""
import pathlib
import subprocess
import sys

import pytest

from support.scratch_server import ScratchServer

STRESS = pathlib.Path(__file__).with_name("stress_test.py")


@pytest.mark.parametrize("fault", ["skip_write_keys", "skip_unique_key", "skip_mark", "sweep_too_early"])
def test_the_stress_finds(fault):
    for seed in (1, 2, 3):
        done = subprocess.run([sys.executable, STRESS, "--seconds", "8", "--sessions", "8", "--seed", str(seed), "--plant",
                               fault, "--quiet-wrong"], capture_output=True, text=True, timeout=60)
        print(done.stdout, done.stderr)
        if done.returncode == 0:
            assert "WRONG: " in done.stdout
            return
    raise AssertionError(f"{fault}: nobody noticed")


def test_the_sound_module_knows_no_faults():
    with ScratchServer(environment={"ZORYA_PLANT": "skip_write_keys"}, settings={"zorya.gate": "off"}) as server:
        a, b = server.connect("admin"), server.connect("admin")
        a.execute("create table t(id int primary key, v int)")
        a.execute("insert into t values (1, 0)")
        for session in (a, b):
            session.execute("begin")
            session.execute("update t set v = v + 1")
        a.execute("commit")
        with pytest.raises(Exception, match="OC000"):
            b.execute("commit")
        assert server.connect().execute("select apply_failures from sys.commit_stats()").fetchone() == (0,)
