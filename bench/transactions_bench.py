"""What transactions cost: our server against a plain PostgreSQL of equal settings in a server of its own without our library, in
alternating pairs. JSON on standard output: for each load the CPU time of the server per transaction, throughput, and the
ratio ours to plain, median with the interval that holds it at 95 %.

transactions_bench.py [--pairs N] [--loads NAME ...] [--no-fsync] [--rows N]

Loads with an aim for the CPU ratio: range (a thousand rows by key), full-scan, the same inside a transaction with pending rows
elsewhere in the table, uuid-insert, insert-3000, delete-3000, load (a million rows by four clients with COPY in transactions
of 3,000). Without: hot-row (32 clients on one row: commits a second, and the time blocked inside statements), idle-memory
(private memory of an idle session), recovery (kill -9 with 1 GiB dirtied since the last checkpoint).
select-only, simple-update and TPC-B are in database_bench.py.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
from database_bench import cpu_s, pgbench, spread  # noqa: E402
from support.scratch_server import PORT, ROOT, ScratchServer  # noqa: E402

BLOCK = 3000  # rows of the largest transaction


@dataclasses.dataclass
class Load:
    """A pgbench script that `clients` run `count` times each; `before` is done as owner ahead of each run, and not counted."""
    script: str
    count: int
    aim: float | None = None
    clients: int = 1
    before: str = ""


def loads(rows):
    far, middle = rows - 1, rows // 2
    scan = "SELECT sum(n) FROM data WHERE id BETWEEN :start AND :start + 999;\n"
    start = f"\\set start random(1, {middle})\n"
    pending = f"BEGIN;\nUPDATE data SET n = n + 1 WHERE id = {far};\nDELETE FROM data WHERE id = {far - 1};\n"
    blocks = 120
    # As clients would load it: what one larger transaction leaves in the table of recent keys, the measured ones would clear.
    filled = "; ".join(f"INSERT INTO filled SELECT g, g, 'some text of a row' FROM generate_series({block * BLOCK + 1}, {(block + 1) * BLOCK}) g"
                       for block in range(blocks + 1))
    return {
        "range": Load(start + scan, 6000, 1.03),
        "full-scan": Load("SELECT sum(n) FROM data;\n", 40, 1.03),
        "range-pending": Load(start + pending + scan * 50 + "ROLLBACK;\n", 80, 1.1),
        "full-scan-pending": Load(pending + "SELECT sum(n) FROM data;\n" * 10 + "ROLLBACK;\n", 4, 1.1),
        "uuid-insert": Load("INSERT INTO ids (text) VALUES ('some text of a row');\n", 4000, 1.10, clients=2, before="TRUNCATE ids"),
        "insert-3000": Load(f"INSERT INTO filled SELECT nextval('numbers'), g, 'some text of a row' FROM generate_series(1, {BLOCK}) g;\n",
                            blocks, 1.10, before="TRUNCATE filled"),
        "delete-3000": Load(f"SELECT nextval('blocks') AS block \\gset\nDELETE FROM filled WHERE id > :block * {BLOCK} AND id <= (:block + 1) * {BLOCK};\n",
                            blocks, 1.3, before=f"TRUNCATE filled; ALTER SEQUENCE blocks RESTART; {filled}; VACUUM filled; CHECKPOINT"),
    }


def prepare(server, rows):
    owner = server.connect()
    for statement in (
            "CREATE TABLE data (id int PRIMARY KEY, n int, pad text)",
            f"INSERT INTO data SELECT g, g, repeat('x', 80) FROM generate_series(1, {rows}) g",
            "CREATE TABLE ids (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), text text)",
            "CREATE TABLE filled (id bigint PRIMARY KEY, n int, text text)", "CREATE INDEX ON filled (n)",
            "CREATE TABLE hot (id int PRIMARY KEY, n int)", "INSERT INTO hot VALUES (1, 0)",
            "CREATE SEQUENCE numbers CACHE 65536", "CREATE SEQUENCE blocks MINVALUE 0 START 0 CACHE 1",
            "GRANT ALL ON ALL TABLES IN SCHEMA public TO admin", "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO admin",
            "VACUUM ANALYZE", "CHECKPOINT"):
        owner.execute(statement)


def make_ready(server, statements):
    owner = server.connect()
    for statement in filter(None, statements.split("; ")):
        owner.execute(statement)
    owner.close()


def run_script(server, load):
    make_ready(server, load.before)
    script = server.folder / "script.sql"
    script.write_text(load.script)
    before = cpu_s(server.process.pid)
    output = pgbench(server, "-U", "admin", "-n", "-M", "prepared", "-c", str(load.clients), "-j", str(min(load.clients, 2)),
                     "-t", str(load.count), "-f", str(script))
    used = cpu_s(server.process.pid) - before
    count = int(re.search(r"number of transactions actually processed: (\d+)", output)[1])
    assert count == load.count * load.clients, output
    return {"cpu_us": used * 1e6 / count, "tps": float(re.search(r"tps = ([\d.]+)", output)[1])}


# ------------------------------------------------------------------ loads that pgbench cannot make

def load_million(server, clients=4, rows=1_000_000):
    """Four psql that COPY in transactions of 3,000 rows."""
    make_ready(server, "TRUNCATE filled; CHECKPOINT")
    files = []
    for client in range(clients):
        files.append(server.folder / f"copy{client}.sql")
        if files[-1].exists():
            continue
        with open(files[-1], "w") as out:
            first, last = client * rows // clients, (client + 1) * rows // clients
            for block in range(first, last, BLOCK):
                out.write("COPY filled FROM stdin;\n")
                out.writelines(f"{n}\t{n}\tsome text of a row\n" for n in range(block, min(block + BLOCK, last)))
                out.write("\\.\n")
    before, start = cpu_s(server.process.pid), time.monotonic()
    running = [subprocess.Popen([str(server.programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(server.folder), "-p", str(PORT),
                                 "-U", "admin", "-d", "postgres", "-f", str(file)]) for file in files]
    assert [process.wait() for process in running] == [0] * clients
    used, took = cpu_s(server.process.pid) - before, time.monotonic() - start
    blocks = -(-rows // BLOCK)
    return {"cpu_us": used * 1e6 / blocks, "tps": blocks / took}


def hot_row(server, plain, seconds=5, clients=32):
    """One row that all increment. On plain PostgreSQL at READ COMMITTED, as its users run it."""
    script = server.folder / "hot.sql"
    level = "READ COMMITTED" if plain else "REPEATABLE READ"
    script.write_text(f"BEGIN ISOLATION LEVEL {level};\nUPDATE hot SET n = n + 1 WHERE id = 1;\nCOMMIT;\n")
    output = pgbench(server, "-U", "admin", "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(seconds), "-r",
                     "--max-tries=0", "-f", str(script))
    update_ms = float(re.search(r"([\d.]+)\s+\d+\s+\d+\s+UPDATE|([\d.]+)\s+(?:\d+\s+)?UPDATE", output)[0].split()[0])
    count = int(re.search(r"number of transactions actually processed: (\d+)", output)[1])
    retries = re.search(r"total number of retries: (\d+)", output)
    return {"committed_per_s": count / seconds, "update_statement_ms": update_ms, "retries_per_commit": (int(retries[1]) if retries else 0) / max(count, 1)}


def idle_memory(server, sessions=10):
    """Private memory of sessions that did one query and idle, KiB each."""
    connections = [server.connect("admin") for _ in range(sessions)]
    pids = []
    for connection in connections:
        connection.execute("SELECT n FROM data WHERE id = 1")
        pids.append(connection.info.backend_pid)
    time.sleep(.2)
    total = sum(int(line.split()[1]) for pid in pids for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                if line.startswith("Private_"))
    for connection in connections:
        connection.close()
    return total / sessions


def recovery(extension, settings, gib=1.0):
    """From the start after kill -9 to the first row, with `gib` of WAL since the last checkpoint."""
    with ScratchServer(settings=settings | {"max_wal_size": "4GB", "checkpoint_timeout": "1h"}, fsync=True, extension=extension) as server:
        prepare(server, 10_000)
        owner = server.connect()
        lsn = owner.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0]
        written, table = 0, 0
        while written < gib * 2**30:
            owner.execute(f"INSERT INTO filled SELECT g, g, repeat('x', 200) FROM generate_series({table * 400_000}, {table * 400_000 + 399_999}) g")
            table += 1
            written = int(owner.execute("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", (lsn,)).fetchone()[0])
        server.stop("kill")
        (server.data / "postmaster.pid").unlink(missing_ok=True)
        start = time.monotonic()
        server.start(wait_s=600)
        server.connect().execute("SELECT 1")
        return {"wal_mib": round(written / 2**20), "seconds": round(time.monotonic() - start, 2)}


# ------------------------------------------------------------------ pairs

def interval(values):
    """Of the median, by the binomial distribution: the order statistics that hold it with 95 %."""
    ordered, n = sorted(values), len(values)
    k = max(0, int((n - 1.96 * n ** .5) / 2))
    return {"median": round(statistics.median(ordered), 3), "from": round(ordered[k], 3), "to": round(ordered[n - 1 - k], 3)}


def compare(servers, name, aim, pairs, run):
    runs = {"ours": [], "plain": []}
    for pair in range(pairs):
        for side in (("ours", "plain") if pair % 2 == 0 else ("plain", "ours")):
            runs[side].append(run(servers[side]))
    ratios = [ours["cpu_us"] / plain["cpu_us"] for ours, plain in zip(runs["ours"], runs["plain"])]
    result = {"load": name, "cpu_ratio": interval(ratios), "aim": aim}
    for figure in ("cpu_us", "tps"):
        for side, done in runs.items():
            result[f"{side}_{figure}"] = spread([one[figure] for one in done])
    print(f"{name}: {result['cpu_ratio']}, aim {aim}", file=sys.stderr)
    return result


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--pairs", type=int, default=15)
    options.add_argument("--rows", type=int, default=500_000)
    options.add_argument("--loads", nargs="+")
    options.add_argument("--no-fsync", action="store_true")
    arguments = options.parse_args()
    settings = {"shared_buffers": "256MB", "max_wal_size": "2GB", "jit": "off"}
    known = loads(arguments.rows)
    wanted = arguments.loads or [*known, "load", "hot-row", "idle-memory", "recovery"]
    results = []
    with (ScratchServer(settings=settings, fsync=not arguments.no_fsync) as ours,
          ScratchServer(settings=settings, fsync=not arguments.no_fsync, extension=False) as plain):
        servers = {"ours": ours, "plain": plain}
        for server in servers.values():
            prepare(server, arguments.rows)
        for name in wanted:
            if name in known:
                load = known[name]
                results.append(compare(servers, name, load.aim, arguments.pairs, lambda server, load=load: run_script(server, load)))
            elif name == "load":
                results.append(compare(servers, name, 1.15, max(3, arguments.pairs // 3), load_million))
            elif name == "hot-row":
                results.append({"load": name, "clients": 32} | {side: hot_row(server, side == "plain") for side, server in servers.items()})
            elif name == "idle-memory":
                memory = {side: round(idle_memory(server)) for side, server in servers.items()}
                results.append({"load": name, "kib": memory, "ratio": round(memory["ours"] / memory["plain"], 3), "aim": 1.1})
        failures = ours.connect().execute("select apply_failures from sys.commit_stats()").fetchone()[0]
    if "recovery" in wanted:
        results.append({"load": "recovery"} | {side: recovery(side == "ours", settings) for side in ("ours", "plain")})
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    print(json.dumps({"benchmark": "transactions", "commit": commit, "machine": platform.platform(), "cpus": os.cpu_count(),
                      "load_average": os.getloadavg(), "pairs": arguments.pairs, "rows": arguments.rows, "fsync": not arguments.no_fsync,
                      "apply_failures": failures, "results": results}, indent=1))


if __name__ == "__main__":
    main()
