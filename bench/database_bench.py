"""The database without router: select-only and simple-update (pgbench, prepared, private socket) on our server against a
plain PostgreSQL of the same settings without our library, in turns. JSON on standard output: transactions a second, CPU
time of the server per transaction (from /proc), latency, and the ratio ours to plain of each.

database_bench.py [--pairs N] [--seconds S] [--clients N ...] [--loads NAME ...] [--scale N] [--no-fsync] [--instructions]

The load tpcb (pgbench's TPC-B, not run unless named) has hot rows: the plain side runs it at READ COMMITTED, as its users do,
and waits for locks; ours repeats what lost. It reports committed transactions a second and the repeats of each.

--instructions counts the backend's own instructions per transaction under valgrind instead (Debian package valgrind): the same
figure on a busy machine and an idle one.

Aims: CPU per transaction within 5 % for select-only, within 10 % for simple-update.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
from support.scratch_server import OWNER, PORT, ROOT, ScratchServer  # noqa: E402

SCALE = 10  # of pgbench: a million rows: larger than the shared buffers, within the system's
LOADS = {"select-only": ["-S"], "simple-update": ["-N"], "tpcb": ["-b", "tpcb-like"]}


def cpu_s(root):
    """User and system time of a process and its children, those that ended included."""
    ticks, todo = 0, [root]
    while todo:
        pid = todo.pop()
        try:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # Only the parent's account of the dead: a child's own dead are its own.
        ticks += sum(int(stat[n]) for n in (11, 12, 13, 14))
        todo += [int(child) for child in children]
    return ticks / os.sysconf("SC_CLK_TCK")


def pgbench(server, *arguments, options=""):
    done = subprocess.run([str(server.programs / "pgbench"), "-h", str(server.folder), "-p", str(PORT), *arguments,
                           "postgres"], capture_output=True, text=True, timeout=600, cwd=server.folder,
                          env=os.environ | {"PGOPTIONS": options})
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


def prepare(server, scale=SCALE):
    # The loader needs what the gate refuses; the load itself runs as a client.
    pgbench(server, "-U", OWNER, "-i", "-q", "-s", str(scale))
    owner = server.connect()
    for table in ("accounts", "branches", "tellers", "history"):
        owner.execute(f"grant all on pgbench_{table} to admin")
    owner.execute("checkpoint")
    owner.close()


def measure(server, load, clients, seconds):
    before = cpu_s(server.process.pid)
    waits = load == "tpcb" and not server.extension
    output = pgbench(server, "-U", "admin", "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2)),
                     "-T", str(seconds), "--max-tries=0" if load == "tpcb" else "--max-tries=100", *LOADS[load],
                     options="-c default_transaction_isolation=read\\ committed" if waits else "")
    used = cpu_s(server.process.pid) - before
    count = int(re.search(r"number of transactions actually processed: (\d+)", output)[1])
    retried = re.search(r"total number of retries: (\d+)", output)
    return {"tps": float(re.search(r"tps = ([\d.]+)", output)[1]), "cpu_us": used * 1e6 / count,
            "latency_ms": float(re.search(r"latency average = ([\d.]+)", output)[1]),
            "retries": int(retried[1]) if retried else 0, "count": count}


def instructions(settings, load, extension):
    """Of one backend, per transaction: the difference of a long run and a short one."""
    with ScratchServer(settings=settings, extension=extension) as server:
        prepare(server, scale=1)
        server.stop()
        server.wrapper = ["valgrind", "--tool=callgrind", "--trace-children=yes", "-q",
                          f"--callgrind-out-file={server.folder}/count.%p"]
        server.start()
        counts = (200, 1200)
        for count in counts:
            pgbench(server, "-U", "admin", "-n", "-M", "prepared", "-c", "1", "-t", str(count), *LOADS[load])
        server.stop()
        totals = [int(re.search(r"^(?:summary|totals): (\d+)", file.read_text(), re.M)[1])
                  for file in server.folder.glob("count.*")]
    # The two backends that worked are the two that did most.
    long, short = sorted(totals)[:-3:-1]
    return (long - short) / (counts[1] - counts[0])


def count_instructions(settings, loads):
    results = []
    for load in loads:
        ours, plain = (instructions(settings, load, extension) for extension in (True, False))
        results.append({"load": load, "ours_instructions": round(ours), "plain_instructions": round(plain),
                        "ratio": round(ours / plain, 4)})
    return results


def spread(values):
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def compare(servers, load, clients, pairs, seconds):
    runs = {"ours": [], "plain": []}
    for pair in range(pairs):
        order = ("ours", "plain") if pair % 2 == 0 else ("plain", "ours")
        for name in order:
            runs[name].append(measure(servers[name], load, clients, seconds))
    ratios = [ours["cpu_us"] / plain["cpu_us"] for ours, plain in zip(runs["ours"], runs["plain"])]
    result = {"load": load, "clients": clients, "cpu_ratio_of_pairs": spread(ratios)}
    for figure in ("tps", "cpu_us", "latency_ms"):
        for name in runs:
            result[f"{name}_{figure}"] = spread([run[figure] for run in runs[name]])
    result["ours_retries"] = sum(run["retries"] for run in runs["ours"])
    result["ours_retries_per_commit"] = round(result["ours_retries"] / sum(run["count"] for run in runs["ours"]), 3)
    return result


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--pairs", type=int, default=5)
    options.add_argument("--seconds", type=int, default=4)
    options.add_argument("--clients", type=int, nargs="+", default=[1, 4])
    options.add_argument("--loads", nargs="+", default=["select-only", "simple-update"])
    options.add_argument("--scale", type=int, default=SCALE)
    options.add_argument("--no-fsync", action="store_true")
    options.add_argument("--instructions", action="store_true")
    arguments = options.parse_args()
    settings = {"shared_buffers": "64MB", "max_wal_size": "1GB", "jit": "off"}
    if arguments.instructions:
        print(json.dumps({"benchmark": "database instructions", "results": count_instructions(settings, arguments.loads)},
                         indent=1))
        return
    with (ScratchServer(settings=settings, fsync=not arguments.no_fsync) as ours,
          ScratchServer(settings=settings, fsync=not arguments.no_fsync, extension=False) as plain):
        servers = {"ours": ours, "plain": plain}
        for server in servers.values():
            prepare(server, arguments.scale)
        results = [compare(servers, load, clients, arguments.pairs, arguments.seconds)
                   for load in arguments.loads for clients in arguments.clients]
        stats = ours.connect().execute("select apply_failures from sys.commit_stats()").fetchone()[0]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    print(json.dumps({"benchmark": "database", "commit": commit, "machine": platform.platform(), "cpus": os.cpu_count(),
                      "load_average": os.getloadavg(), "pairs": arguments.pairs, "seconds": arguments.seconds,
                      "fsync": not arguments.no_fsync, "scale": arguments.scale, "apply_failures": stats, "results": results},
                     indent=1))


if __name__ == "__main__":
    main()
