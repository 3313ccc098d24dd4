"""A cluster's life in figures, JSON on standard output: first cluster of a new data folder (its template is made), start of
an existing one, a second cluster from the copy made ahead, stop, and memory at rest with one cluster.

cluster_bench.py [ROUNDS]: medians with minimum and maximum of ROUNDS (default 5). On the disk of /tmp.
"""
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
from support.private_cluster import ID, PrivateClusters, processes_in, wait_until  # noqa: E402
from support.scratch_server import ROOT  # noqa: E402

SECOND_ID = "benchcluster00000000000000"


def timed(function):
    begin = time.monotonic()
    function()
    return (time.monotonic() - begin) * 1000


def memory_kib(data):
    """Proportional set size of one cluster's processes."""
    total = 0
    for pid in processes_in(data / "clusters" / ID / "data"):
        total += int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
    return total


def one_round(figures):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="zorya-cluster-bench-"))
    folder.chmod(0o755)
    data = folder / "data"
    clusters = PrivateClusters(data)
    try:
        figures["first_cluster_ms"].append(timed(clusters.start))
        wait_until(lambda: list((data / "clusters").glob(".spare-*")), what="the copy made ahead")
        figures["second_cluster_ms"].append(timed(lambda: clusters.ask(f"ensure {SECOND_ID}")))
        figures["stop_two_ms"].append(timed(clusters.stop))
        figures["start_existing_ms"].append(timed(clusters.start))
        figures["memory_at_rest_kib"].append(memory_kib(data))
        figures["stop_one_ms"].append(timed(clusters.stop))
    finally:
        clusters.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    names = ("first_cluster_ms", "second_cluster_ms", "start_existing_ms", "stop_one_ms", "stop_two_ms",
             "memory_at_rest_kib")
    figures = {name: [] for name in names}
    load_before = os.getloadavg()
    for _ in range(rounds):
        one_round(figures)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    print(json.dumps({
        "bench": "cluster", "command": " ".join(sys.argv), "commit": commit.stdout.strip(), "cores": os.cpu_count(),
        "kernel": platform.release(), "load": [round(value, 2) for value in (*load_before[:1], *os.getloadavg()[:1])],
        "rounds": rounds,
        "figures": {name: {"median": round(statistics.median(values), 1), "min": round(min(values), 1),
                           "max": round(max(values), 1)} for name, values in figures.items()}}, indent=1))


if __name__ == "__main__":
    main()
