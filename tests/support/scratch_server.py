"""A scratch PostgreSQL server with the built extension, for tests: its own folder, a unix socket only, gone at the end.

    with ScratchServer() as server:
        admin = server.connect("admin")          # an ordinary client session, autocommit
        owner = server.connect()                 # the superuser zorya_owner, which no shipped start lets in

ZORYA_BUILD names the build folder (build/dev, build/release); without it the newest one is taken.
"""
import getpass
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
OWNER = "zorya_owner"
PORT = 5432  # part of the socket's name only; nothing listens on TCP


def build_folder() -> pathlib.Path:
    named = os.environ.get("ZORYA_BUILD")
    if named:
        return pathlib.Path(named).resolve()
    found = [path for path in ROOT.glob("build/*/lib/zorya/zorya_query_processor.so")]
    if not found:
        raise RuntimeError("no built extension under build/: build first, or set ZORYA_BUILD")
    return max(found, key=lambda path: path.stat().st_mtime).parents[2]


def server_programs() -> pathlib.Path:
    done = subprocess.run([os.environ.get("PG_CONFIG", "pg_config"), "--bindir"], capture_output=True, text=True, check=True)
    return pathlib.Path(done.stdout.strip())


def read_settings(path: pathlib.Path) -> dict[str, str]:
    """`key = value` lines; the value is the rest of the line, without quotes."""
    settings = {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            key, value = line.split("=", 1)
            settings[key.strip()] = value.strip()
    return settings


def is_running(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class ScratchServer:
    """extension=False makes a plain server of the same settings without our library, as a peer for comparison."""

    def __init__(self, *, settings: dict[str, str] | None = None, roles: tuple[str, ...] = (),
                 extension: bool = True, build: pathlib.Path | None = None, fsync: bool = False,
                 plant: str | None = None, environment: dict[str, str] | None = None):
        self.build = build or build_folder()
        self.library = self.build / "lib" / "zorya"
        self.extension = extension
        self.roles = roles
        # With one, even "", the server has the module that knows planted faults and stop points (query_processor/plant.h). The
        # next start has what it names then.
        self.plant = plant
        self.environment = environment or {}
        self.wrapper: list[str] = []  # a program that runs the server, as valgrind; for the next start
        self.programs = server_programs()
        self.settings = {"listen_addresses": "", "fsync": "on" if fsync else "off", "autovacuum": "off",
                         "shared_buffers": "32MB", "max_connections": "60", "log_min_messages": "warning",
                         "max_wal_size": "256MB"}
        if extension:
            self.settings |= read_settings(self.library / "query_processor.conf")
        else:
            self.settings |= {"default_transaction_isolation": "repeatable read",
                              "max_parallel_workers_per_gather": "0"}
        self.settings |= settings or {}
        self.user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        self.folder: pathlib.Path | None = None
        self.process: subprocess.Popen | None = None
        self.connections = []

    def __enter__(self) -> "ScratchServer":
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="zorya-scratch-"))
        try:
            if os.geteuid() == 0:
                account = pwd.getpwnam(self.user)
                os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._make()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, value, trace) -> None:
        for connection in self.connections:
            connection.close()
        if self.process and self.process.poll() is None:
            self.stop("immediate")
        if kind is not None and self.folder and (self.folder / "log").exists():
            print("".join((self.folder / "log").read_text().splitlines(keepends=True)[-60:]))
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def data(self) -> pathlib.Path:
        return self.folder / "data"

    def _run(self, argv: list[str]) -> None:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=self.folder, **self._identity())
        if done.returncode != 0:
            raise RuntimeError(f"{argv[0]}: {done.stderr.strip() or done.stdout.strip()}")

    def _identity(self) -> dict:
        if os.geteuid() != 0:
            return {}
        account = pwd.getpwnam(self.user)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def _make(self) -> None:
        self._run([str(self.programs / "initdb"), "-D", str(self.data), "-U", OWNER, "-A", "trust", "-E", "UTF8",
                   "--locale=C", "--wal-segsize=1", "--no-sync"])
        if self.extension:
            # A copy, because the server's user may not be able to read a clone's folder.
            shutil.copytree(self.library, self.folder / "lib")
            if self.plant is not None:
                shutil.copy(self.build / "lib" / "planted" / "zorya_query_processor.so", self.folder / "lib")
            self.settings["dynamic_library_path"] = f"{self.folder / 'lib'}:$libdir"
        self.start()
        if self.extension:
            for file in sorted((self.folder / "lib" / "sql").glob("*.sql")):
                self.execute_file(file)
        else:
            # Read here, because the server's user may not be able to read a clone's folder.
            self.execute_file_text((self.library / "sql" / "05_roles.sql").read_text())
        for role in self.roles:
            self.execute_file_text(f'CREATE ROLE "{role}" LOGIN')

    def start(self, wait_s: float = 30) -> None:
        argv = [str(self.programs / "postgres"), "-D", str(self.data), "-k", str(self.folder), "-p", str(PORT)]
        for key, value in self.settings.items():
            argv += ["-c", f"{key}={value}"]
        planted = {} if self.plant is None else {"ZORYA_PLANT": self.plant}
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(self.wrapper + argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                                            env=os.environ | self.environment | planted, **self._identity())
        deadline = time.monotonic() + wait_s
        while True:
            if self.process.poll() is not None:
                raise RuntimeError("the server ended at its start:\n" + (self.folder / "log").read_text()[-3000:])
            done = subprocess.run([str(self.programs / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(PORT)])
            if done.returncode == 0:
                return
            if time.monotonic() > deadline:
                raise RuntimeError("the server does not answer")
            time.sleep(0.02)

    def stop(self, how: str = "fast") -> None:
        """fast, immediate, or kill (SIGKILL to the postmaster and every backend, as a power cut of the process)."""
        if how == "kill":
            self.process.send_signal(signal.SIGSTOP)  # it must not fork while we count
            victims = [int(pid) for pid in subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
                                                          capture_output=True, text=True).stdout.split()]
            for pid in [*victims, self.process.pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            # The next start looks whether anybody still holds the shared memory.
            while any(is_running(pid) for pid in victims):
                time.sleep(.005)
        else:
            self.process.send_signal({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[how])
        self.process.wait(timeout=30)

    def execute_file(self, file: pathlib.Path) -> None:
        self._run([str(self.programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-p",
                   str(PORT), "-U", OWNER, "-d", "postgres", "-f", str(file)])

    def execute_file_text(self, text: str) -> None:
        with self.connect() as connection:
            connection.execute(text)

    def connect(self, user: str = OWNER, autocommit: bool = True, **options):
        import psycopg
        connection = psycopg.connect(host=str(self.folder), port=PORT, user=user, dbname="postgres",
                                     autocommit=autocommit, connect_timeout=10, **options)
        connection.prepare_threshold = None
        self.connections.append(connection)
        return connection

    def is_sanitized(self) -> bool:
        """True under the address sanitizer, which keeps what was freed: figures of memory say nothing then."""
        return "libasan" in pathlib.Path(f"/proc/{self.process.pid}/maps").read_text()

    def log(self) -> str:
        return (self.folder / "log").read_text()
