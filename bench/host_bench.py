#!/usr/bin/env python3
"""Starts of a Python function: restored with and without a parked clone, and cold; and what a clone weighs.

    ZORYA_BUILD=build/release build/test-venv/bin/python bench/host_bench.py [--rounds 30]

Times are milliseconds from the decision to start (restore), or from the invoke reaching the host (the rest), to the
end named; memory is PSS. Prints one JSON object.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import statistics
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "host"))
os.environ.setdefault("ZORYA_BUILD", "build/release")

from host import PYTHON, SNAP_START, Host  # noqa: E402

CODE = HERE / "functions" / "imports"


def summary(values):
    values = sorted(values)
    return {
        "n": len(values),
        "min": round(values[0], 3),
        "p50": round(statistics.median(values), 3),
        "p95": round(values[min(len(values) - 1, int(len(values) * 0.95))], 3),
        "max": round(values[-1], 3),
    }


def start(data, *options):
    return Host("--code", CODE, "--memory", "512", "--timeout", "10", *PYTHON, *options, data=data)


def wait_parked(host, count):
    deadline = time.monotonic() + 20
    while host.status()["parked"] < count:
        assert time.monotonic() < deadline, "no clone was parked"
        time.sleep(0.005)


def fresh(host, rounds, parked):
    """Invokes that each get an environment of their own: the last one's is ended before."""
    answers = []
    for _ in range(rounds):
        if parked:
            wait_parked(host, parked)
        answers.append(host.invoke())
        host.invoke({"exit": True})
    return answers


def pss_kb(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))


def descendants(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child)] + descendants(child)
    return found


def memory_with(data, parked):
    """All processes of a host with so many clones: what they share is divided among them, so only a sum is true."""
    with start(data, *SNAP_START, "--parked", str(parked)) as host:
        host.publish()
        wait_parked(host, parked)
        return sum(pss_kb(pid) for pid in descendants(host.process.pid))


def measure(rounds, data):
    out = {}
    with start(data, *SNAP_START, "--parked", "2") as host:
        published = host.publish()
        assert published["restore_path"] == "clone", published
        out["init_ms"] = published["init_ms"]
        answers = fresh(host, rounds, 1)
        restores = re.findall(r"RESTORE_REPORT Restore Duration: ([\d.]+)", host.log())
        out["parked: decision to request's arrival"] = summary([float(r) for r in restores])
        out["parked: invoke to answer"] = summary([a["ms"] for a in answers])
        out["warm: invoke to answer"] = summary([host.invoke()["ms"] for _ in range(300)][20:])
    with start(data, *SNAP_START, "--parked", "0") as host:
        host.publish()
        host.invoke({"exit": True})
        out["not parked: invoke to answer"] = summary([a["ms"] for a in fresh(host, rounds, 0)])
    with start(data, "--alias", "live") as host:
        host.publish()
        out["cold: invoke to answer"] = summary([a["ms"] for a in fresh(host, max(5, rounds // 5), 0)])
    out["parked clone, KiB PSS with its pid 1"] = round((memory_with(data, 21) - memory_with(data, 1)) / 20)
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zorya-bench-") as folder:
        os.chmod(folder, 0o755)
        result = {
            "bench": "host",
            "machine": f"{platform.machine()} {os.cpu_count()} cpu, {platform.release()}",
            "user": "root" if os.geteuid() == 0 else "plain",
            "load_before": os.getloadavg()[0],
            **measure(arguments.rounds, pathlib.Path(folder)),
            "load_after": os.getloadavg()[0],
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
