"""The session router alone, in front of a scratch server, for tests.

    with ScratchServer() as server, RunningRouter(server.folder) as router:
        connection = router.connect()            # psycopg, sslmode=verify-full, a token made by boto3
"""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import boto3
import psycopg

from support.scratch_server import build_folder

REGION = "us-east-1"
CLUSTER = "abcdefghijklmnopqrstuvwx01"


class RunningRouter:
    """Options are those of zorya_router_tool, with '_' for '-'. `keys` is {file name: document} for more access keys."""

    def __init__(self, socket_folder, keys: dict | None = None, **options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="zorya-router-"))
        self.socket_folder = socket_folder
        self.options = options
        for name, document in (keys or {}).items():
            (self.folder / "keys").mkdir(mode=0o700, exist_ok=True)
            path = self.folder / "keys" / name
            path.write_text(json.dumps(document))
            path.chmod(0o600)
        self.process = None

    def __enter__(self):
        argv = [str(build_folder() / "bin" / "zorya_router_tool"), str(self.folder),
                f"{CLUSTER}={self.socket_folder}"]
        argv += [f"--{name.replace('_', '-')}={value}" for name, value in self.options.items()]
        self.log_file = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log_file, text=True)
        first = self.process.stdout.readline()
        assert first, (self.folder / "log").read_text()
        self.info = json.loads(first)
        self.port = self.info["port"]
        self.ca_file = self.info["ca_file"]
        self.host = f"{CLUSTER}.dsql.{REGION}.on.aws"
        return self

    def __exit__(self, kind, value, trace):
        self.process.stdin.close()
        try:
            status = self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if kind is not None:
            print(self.log()[-4000:])
        shutil.rmtree(self.folder, ignore_errors=True)
        assert status == 0, f"the router ended with {status}"

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def ask(self, question: str) -> dict:
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def say(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def token(self, *, admin: bool = True, host: str | None = None, region: str = REGION, expires: int = 900,
              key: dict | None = None) -> str:
        """As an application makes it."""
        key = key or self.info
        client = boto3.client("dsql", region_name=region, aws_access_key_id=key["access_key_id"],
                              aws_secret_access_key=key["secret_access_key"],
                              aws_session_token=key.get("session_token") or None)
        make = (client.generate_db_connect_admin_auth_token if admin else client.generate_db_connect_auth_token)
        return make(Hostname=host or self.host, Region=region, ExpiresIn=expires)

    def parameters(self, **changes) -> dict:
        out = {"host": self.host, "hostaddr": "127.0.0.1", "port": self.port, "user": "admin", "dbname": "postgres",
               "sslmode": "verify-full", "sslrootcert": self.ca_file, "connect_timeout": 10}
        out |= changes
        if "password" not in out:
            out["password"] = self.token()
        return {name: value for name, value in out.items() if value is not None}

    def connect(self, autocommit: bool = True, **changes) -> psycopg.Connection:
        return psycopg.connect(autocommit=autocommit, **self.parameters(**changes))

    def psql(self, *arguments: str, stdin: str | None = None, **changes) -> subprocess.CompletedProcess:
        parameters = self.parameters(**changes)
        environment = os.environ | {"PGPASSWORD": parameters.pop("password"), "PSQLRC": "/dev/null"}
        words = " ".join(f"{name}='{value}'" for name, value in parameters.items())
        return subprocess.run(["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", words, *arguments], input=stdin,
                              capture_output=True, text=True, timeout=60, env=environment)
