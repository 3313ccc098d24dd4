"""A second opinion of a data folder: a copy whose tables are marked as PostgreSQL's own heap, under a server without our library."""
import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import time

import psycopg

from support.private_cluster import OWNER
from support.scratch_server import server_programs

TABLES = ("pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 't', 'm') AND c.relpersistence = 'p'"
          " AND n.nspname IN ('public', 'pg_toast')")


@contextlib.contextmanager
def heap_copy(data_folder, place):
    """Gives the owner's connection to the copy. Nobody may write to `data_folder`."""
    copy = pathlib.Path(place) / "heap_copy"
    shutil.rmtree(copy, ignore_errors=True)
    subprocess.run(["cp", "-a", str(data_folder), str(copy)], check=True)
    (copy / "postmaster.pid").unlink(missing_ok=True)
    (copy / "pg_hba.conf").write_text("local all all trust\n")
    sockets = pathlib.Path(place) / "heap_copy_run"
    sockets.mkdir(exist_ok=True)
    identity = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(sockets, account.pw_uid, account.pw_gid)
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    with open(pathlib.Path(place) / "heap_copy.log", "wb") as log:
        server = subprocess.Popen([str(server_programs() / "postgres"), "-D", str(copy), "-k", str(sockets), "-c",
                                   "listen_addresses=", "-c", f"hba_file={copy / 'pg_hba.conf'}", "-c", "fsync=off", "-c",
                                   "autovacuum=off", "-c", "max_connections=20"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **identity)
    try:
        connection = _connect(sockets, server, pathlib.Path(log.name))
        connection.execute("UPDATE pg_class SET relam = (SELECT oid FROM pg_am WHERE amname = 'heap') WHERE relam ="
                           " (SELECT oid FROM pg_am WHERE amname = 'btree-table')")
        connection.close()
        connection = _connect(sockets, server, pathlib.Path(log.name))
        yield connection
        connection.close()
    finally:
        server.terminate()
        server.wait(timeout=30)
        shutil.rmtree(copy, ignore_errors=True)


def _connect(sockets, server, log):
    deadline = time.monotonic() + 60
    while True:
        try:
            return psycopg.connect(host=str(sockets), user=OWNER, dbname="postgres", autocommit=True, connect_timeout=10)
        except psycopg.OperationalError:
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)


def check_heap(connection):
    """verify_heapam of every table with its TOAST. Gives the number of tables."""
    connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
    tables = connection.execute(f"SELECT c.oid::regclass::text FROM {TABLES} AND c.relkind <> 't'").fetchall()
    for (table,) in tables:
        wrong = connection.execute("SELECT blkno, offnum, msg FROM verify_heapam(%s, check_toast => true)", (table,)).fetchall()
        assert not wrong, f"{table}: {wrong[:3]}"
    return len(tables)
