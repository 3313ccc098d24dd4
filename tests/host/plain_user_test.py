"""The host's own tests once more as a plain user: the same walls, but for control groups."""

import pathlib
import subprocess
import tempfile

from support import plain_user
from support.scratch_server import ROOT


@plain_user.needs_root
def test_the_host_as_a_plain_user():
    with tempfile.TemporaryDirectory(prefix="zorya-host-") as folder:
        place = plain_user.open_to_all(pathlib.Path(folder))
        program = plain_user.copy_build(place, "function_host_test") / "bin" / "function_host_test"
        testdata = plain_user.copy_folder(ROOT / "src" / "function_host" / "testdata", place / "testdata")
        done = subprocess.run(
            plain_user.as_plain_user("env", f"ZORYA_TESTDATA={testdata}", program,
                                     "--gtest_filter=Host/HostTest.*WithoutCgroups:SandboxTest.*"),
            capture_output=True, text=True, timeout=280, cwd="/")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
