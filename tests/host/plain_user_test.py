"""The host's own tests once more as a plain user: the same walls, but for control groups."""

import os
import subprocess

import pytest

from host import BUILD

PROGRAM = BUILD / "bin/function_host_test"
USER = 4321


def as_plain_user(*command):
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *map(str, command)]


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as a plain user already")
def test_the_host_as_a_plain_user():
    if subprocess.run(as_plain_user("env", PROGRAM, "--gtest_list_tests"), capture_output=True).returncode != 0:
        pytest.skip("a plain user cannot read the build folder")
    done = subprocess.run(as_plain_user(PROGRAM, "--gtest_filter=Host/HostTest.*WithoutCgroups:SandboxTest.*"),
                          capture_output=True, text=True, timeout=280, cwd="/")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
