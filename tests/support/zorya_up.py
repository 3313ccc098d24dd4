"""`zorya up` as a user starts it, for tests of the whole."""
import json
import os
import pathlib
import signal
import subprocess
import urllib.parse

from support.private_cluster import processes_in
from support.waiting import wait_until
from support.scratch_server import build_folder


def identity_of(pid):
    """Pid and start time of a process that runs, else nothing; a zombie does not run."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else (pid, int(fields[19]))


class Up:
    """`zorya up` on one data folder, started again on the same ports after it was killed."""

    def __init__(self, place, template, *options, prefix=(), build=None):
        self.prefix = list(prefix)  # a command before the program's: setpriv
        self.build = build or build_folder()
        self.program = str(self.build / "bin" / "zorya")
        self.template = template
        self.options = options  # more words for `up`
        self.data = place / "data"
        self.ready_file = place / "ready.json"
        self.log = open(place / "log", "ab")
        self.ports = ("0", "0")
        self.process = None
        self.ready = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        """In order when the test went well; then nothing may be left."""
        try:
            if kind is None:
                self.stop()
                assert not self.database_processes(), "processes of the database are left"
            else:
                print(self.tail())
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.log.close()

    def launch(self):
        """Starts the program and does not wait."""
        self.ready_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [*self.prefix, self.program, "up", str(self.template), "--data", str(self.data), "--port",
             self.ports[0], "--dsql-port", self.ports[1], "--ready-file", str(self.ready_file), *self.options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd="/")

    def start(self):
        self.launch()

        def is_ready():
            assert self.process.poll() is None, f"zorya up ended:\n{self.tail()}"
            return self.ready_file.exists()
        # The first start on a data folder installs the packages of Python functions from the index.
        wait_until(is_ready, timeout=400, what="zorya up")
        self.ready = json.loads(self.ready_file.read_text())
        # A template without a cluster has no port of the database.
        dsql_port = self.ready["dsql"][0]["port"] if self.ready["dsql"] else 0
        self.ports = (str(urllib.parse.urlsplit(self.ready["api_url"]).port), str(dsql_port))

    def kill(self):
        """SIGKILL. Whatever it started ends with it."""
        started = self._identities()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)
        self._expect_gone(started)

    def stop(self):
        """Ctrl-C, as a user does it."""
        if self.process.poll() is None:
            started = self._identities()
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=30)
            self._expect_gone(started)

    def _identities(self):
        """All it started, each by what names a process for good: pid and start time."""
        return {identity for pid in (*self.environments(), *self.database_processes()) if (identity := identity_of(pid))}

    @staticmethod
    def _expect_gone(started):
        def left():
            return [pid for pid, start in started if identity_of(pid) == (pid, start)]
        wait_until(lambda: not left(), timeout=20, what="the end of all that zorya started")

    def tail(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")[-4000:]

    @property
    def cluster(self):
        return self.ready["dsql"][0]["id"]

    @property
    def database_folder(self):
        return self.data / "clusters" / self.cluster / "data"

    def database_processes(self):
        return processes_in(self.database_folder) if self.ready and self.ready["dsql"] else []

    def run(self, verb, *arguments):
        """Another verb of the program on this data folder: what it printed, status and all."""
        return subprocess.run([self.program, verb, "--data", str(self.data), *arguments],
                              capture_output=True, text=True, timeout=60)

    def postmaster(self):
        return int((self.database_folder / "postmaster.pid").read_text().split()[0])

    def kill_postmaster(self):
        os.kill(self.postmaster(), signal.SIGKILL)

    def kill_backend(self):
        """The youngest child of the postmaster is one that serves a session."""
        postmaster = self.postmaster()
        os.kill(max(pid for pid in self.database_processes() if pid != postmaster), signal.SIGKILL)

    def connect(self, **options):
        """As a stock client does: TLS checked in full, a token that boto3 makes."""
        import boto3
        import psycopg
        database = self.ready["dsql"][0]
        client = boto3.client("dsql", region_name=database["region"],
                              aws_access_key_id=self.ready["access_key_id"],
                              aws_secret_access_key=self.ready["secret_access_key"])
        token = client.generate_db_connect_admin_auth_token(database["endpoint"], database["region"])
        connection = psycopg.connect(host=database["endpoint"], hostaddr=database["host"], port=database["port"],
                                     user="admin", dbname="postgres", password=token, sslmode="verify-full",
                                     sslrootcert=self.ready["ca_file"], connect_timeout=10, **options)
        connection.prepare_threshold = None
        return connection

    def environments(self):
        """Processes of functions: what descends from zorya and is none of the database's."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
                except OSError:
                    continue
                parents[int(entry)] = int(stat.rsplit(")", 1)[1].split()[1])
        found, pending = [], [self.process.pid]
        database = set(self.database_processes())
        while pending:
            parent = pending.pop()
            children = [pid for pid, of in parents.items() if of == parent and pid not in database]
            found += children
            pending += children
        return found
