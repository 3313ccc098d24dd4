"""kill -9 of zorya at moments of its first start: the next start on that folder serves, and nothing is left half made.

ZORYA_CRASH_SEED repeats a run, ZORYA_CRASH_STARTS (default 8) is the number of killed starts.
"""
import os
import random
import signal
import subprocess
import urllib.request

from support.scratch_server import ROOT
from support.zorya_up import Up

SEED = int(os.environ.get("ZORYA_CRASH_SEED", str(random.randrange(1 << 32))))
STARTS = int(os.environ.get("ZORYA_CRASH_STARTS", "8"))


def test_a_start_killed_at_any_moment_costs_nothing(place):
    print(f"repeat with ZORYA_CRASH_SEED={SEED}")
    moments = random.Random(SEED)
    up = Up(place, ROOT / "examples" / "todos-cpp")
    for _ in range(STARTS):
        up.launch()
        try:
            up.process.wait(timeout=moments.uniform(0.0, 2.5))
            raise AssertionError(f"zorya up ended:\n{up.tail()}")
        except subprocess.TimeoutExpired:
            up.process.send_signal(signal.SIGKILL)
            up.process.wait(timeout=10)
    with up:
        request = urllib.request.Request(up.ready["api_url"] + "/todos", method="POST", data=b'{"title": "after all"}',
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            assert response.status == 201
        folders = [path.name for path in (up.data / "clusters").iterdir()]
        assert not [name for name in folders if name.startswith(".making-")], folders
        assert [name for name in folders if not name.startswith(".")] == [up.cluster]
        assert len([name for name in folders if name.startswith(".template-")]) == 1
        assert len([name for name in folders if name.startswith(".spare-")]) <= 1
