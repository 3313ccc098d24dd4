"""The real cluster room, driven by build/<preset>/bin/zorya_cluster_tool: private servers as `zorya` runs them.

    with PrivateClusters(folder, owner_door=True) as clusters:
        connection = clusters.connect(user="admin")

The tool ends with us: when its standard input closes, it stops the servers.
"""
import json
import os
import pathlib
import signal
import subprocess
import tempfile

from support.scratch_server import build_folder

OWNER = "zorya_owner"
ID = "testcluster000000000000000"


class ClusterError(RuntimeError):
    pass


class PrivateClusters:
    def __init__(self, folder, *ids, owner_door=False, prefix=(), build=None, library=None, environment=None,
                 settings=None):
        self.folder = pathlib.Path(folder)
        self.ids = ids or (ID,)
        self.owner_door = owner_door
        self.prefix = list(prefix)  # a command before the tool's: setpriv, unshare
        self.build = build or build_folder()
        self.library = library or self.build / "lib" / "zorya"
        self.environment = environment or {}  # of the servers, beside what each has
        self.settings = settings or {}        # above those of the product
        self.process = None
        self.connections = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        for connection in self.connections:
            connection.close()
        self.stop()

    def start(self):
        """Starts the tool and waits until its clusters serve; gives its answer."""
        argv = [*self.prefix, str(self.build / "bin" / "zorya_cluster_tool"), str(self.folder),
                str(self.library)]
        if self.owner_door:
            argv.append("--owner-door")
        argv += [f"--environment={name}={value}" for name, value in self.environment.items()]
        argv += [f"--setting={name}={value}" for name, value in self.settings.items()]
        self.process = subprocess.Popen([*argv, *self.ids], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, cwd="/")
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise ClusterError(f"zorya_cluster_tool ended: {self.process.stderr.read()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ClusterError(answer["error"])
        return answer["clusters"]

    def ask(self, question="list"):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return self._answer()

    def info(self, cluster=None):
        name = cluster or self.ids[0]
        return next(info for info in self.ask() if info["id"] == name)

    def stop(self, timeout=20):
        """In order: closes its input and waits. Gives what it wrote to its log."""
        if not self.process:
            return ""
        process, self.process = self.process, None
        try:
            _, log = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return log

    def kill(self):
        """SIGKILL to the tool alone: what is left then is the next start's business."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()

    def connect(self, user="admin", cluster=None, autocommit=True, **options):
        import psycopg
        connection = psycopg.connect(host=self.info(cluster)["socket_folder"], port=5432, user=user, dbname="postgres",
                                     autocommit=autocommit, connect_timeout=10, **options)
        connection.prepare_threshold = None
        self.connections.append(connection)
        return connection


def scratch_folder():
    """A new folder that the server's user can pass through. In memory where programs may be loaded from there: removing
    synced files takes seconds on a disk that discards."""
    shared = "/dev/shm"
    in_memory = os.path.isdir(shared) and not os.statvfs(shared).f_flag & os.ST_NOEXEC
    roomy = in_memory and os.statvfs(shared).f_bavail * os.statvfs(shared).f_frsize > 2 << 30
    path = pathlib.Path(tempfile.mkdtemp(prefix="zorya-cluster-", dir=shared if roomy else None))
    path.chmod(0o755)
    return path


def processes_in(data_folder):
    """Pids of the database's processes that serve a data folder."""
    folder = os.path.realpath(data_folder)
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if os.readlink(f"/proc/{entry}/cwd") == folder and os.readlink(f"/proc/{entry}/exe").endswith("/postgres"):
                found.append(int(entry))
        except OSError:
            continue
    return found
