#!/usr/bin/env python3
"""What the session router costs: pgbench through it with TLS, against PostgreSQL's own TLS and against PgBouncer with TLS.

One server of ours, three ways to it, in turns: router (TLS in, Unix socket out), PostgreSQL (TLS on TCP) and PgBouncer
(session pooling, TLS in, Unix socket out). Prints one JSON document: for each load and way the median, minimum and maximum
of transactions per second, and the CPU that the router or PgBouncer took per transaction. Needs a build (ZORYA_BUILD), the
tests' Python (build/test-venv) and root or a user that may run PostgreSQL.

    build/test-venv/bin/python bench/router_bench.py [--seconds 3] [--rounds 3] [--clients 8]
"""
import argparse
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
from support.router import RunningRouter  # noqa: E402
from support.scratch_server import ScratchServer, build_folder  # noqa: E402

LOADS = {
    "select-1": "select 1;\n",
    "select-by-key": "\\set id random(1, 3000)\nselect v from bench where id = :id;\n",
    "ten-thousand-rows": "select i, repeat('x', 50) from generate_series(1, 10000) i;\n",
}


def run(argv: list[str], **options) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{argv}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make_certificate(folder: pathlib.Path) -> None:
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=bench", "-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")])
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        for name in ("tls.key", "tls.crt"):
            os.chown(folder / name, account.pw_uid, account.pw_gid)
    (folder / "tls.key").chmod(0o600)


class PgBouncer:
    """On a free port, in front of the server's Unix socket."""

    def __init__(self, server: ScratchServer, folder: pathlib.Path):
        self.port = random.randrange(20000, 30000)
        (folder / "users").write_text('"admin" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\npostgres = host={server.folder} port=5432 user=admin\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nauth_type = any\nauth_file = {folder}/users\npool_mode = session\nserver_reset_query = DEALLOCATE ALL\n"
            f"default_pool_size = 50\nunix_socket_dir =\nclient_tls_sslmode = require\nclient_tls_key_file = {folder}/tls.key\n"
            f"client_tls_cert_file = {folder}/tls.crt\nignore_startup_parameters = extra_float_digits\n")
        identity = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self.process = subprocess.Popen([shutil.which("pgbouncer", path="/usr/sbin:/usr/bin"), "-q", str(folder / "pgbouncer.ini")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **identity)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)


def pgbench(script: pathlib.Path, environment: dict, arguments) -> float:
    out = run(["pgbench", "-n", "-M", "prepared", "-f", str(script), "-c", str(arguments.clients), "-j", "1", "-T",
               str(arguments.seconds), "postgres"], env=os.environ | environment)
    return float(re.search(r"tps = ([0-9.]+) \(without", out).group(1))


def measure(ways: dict, folder: pathlib.Path, arguments) -> dict:
    out = {}
    for load, text in LOADS.items():
        script = folder / f"{load}.sql"
        script.write_text(text)
        rates, cpu = {name: [] for name in ways}, {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, (environment, pid) in ways.items():
                before, begun = cpu_seconds(pid) if pid else 0, time.monotonic()
                rate = pgbench(script, environment(), arguments)
                rates[name].append(rate)
                if pid:
                    cpu[name].append((cpu_seconds(pid) - before) / (rate * (time.monotonic() - begun)) * 1e6)
        out[load] = {name: {"tps_median": round(statistics.median(rates[name])), "tps_min": round(min(rates[name])),
                            "tps_max": round(max(rates[name])),
                            **({"cpu_us_per_transaction": round(statistics.median(cpu[name]), 1)} if cpu[name] else {})}
                     for name in ways}
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="zorya-bench-"))
    folder.chmod(0o755)
    make_certificate(folder)
    # An address of its own, so that the port in the socket's name collides with nobody's.
    address = f"127.{random.randrange(2, 250)}.{random.randrange(2, 250)}.{random.randrange(2, 250)}"
    settings = {"listen_addresses": address, "ssl": "on", "ssl_cert_file": str(folder / "tls.crt"),
                "ssl_key_file": str(folder / "tls.key"), "max_connections": "100"}
    try:
        with ScratchServer(settings=settings) as server:
            with server.connect("admin") as admin:
                admin.execute("create table bench (id int primary key, v text)")
                admin.execute("insert into bench select i, repeat('v', 80) from generate_series(1, 3000) i")
            bouncer = PgBouncer(server, folder)
            with RunningRouter(server.folder) as router:
                common = {"PGUSER": "admin", "PGDATABASE": "postgres", "PGSSLMODE": "require"}
                ways = {
                    "postgres_tls": (lambda: common | {"PGHOST": address, "PGPORT": "5432"}, None),
                    "router_tls": (lambda: common | {"PGHOST": router.host, "PGHOSTADDR": "127.0.0.1", "PGPORT": str(router.port),
                                                     "PGPASSWORD": router.token()}, router.process.pid),
                    "pgbouncer_tls": (lambda: common | {"PGHOST": "127.0.0.1", "PGPORT": str(bouncer.port)}, bouncer.process.pid),
                }
                result = measure(ways, folder, arguments)
            bouncer.stop()
        print(json.dumps({"benchmark": "router", "build": build_folder().name, "cpus": os.cpu_count(),
                          "load_average": os.getloadavg()[0], "clients": arguments.clients, "seconds": arguments.seconds,
                          "rounds": arguments.rounds, "loads": result}, indent=1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
