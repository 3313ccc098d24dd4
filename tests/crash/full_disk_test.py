"""A disk that is full while an index is built beside writers: the job fails and says why, the server serves, nothing is lost.

Full is the disk of the tables alone: a log that cannot be written stops the server (tests/crash/database_test.py has that).
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import writers as load  # noqa: E402

from support.jobs import change, check_index, index_state, job, submit_again, wait_for_job  # noqa: E402
from support.scratch_server import ScratchServer  # noqa: E402
from support.waiting import wait_until  # noqa: E402

COMMITS = int(os.environ.get("ZORYA_CRASH_COMMITS", "200"))
DISK_MIB = 80
FREE_MIB = 4  # for a build that takes ten
PAGE_FULL = "'x' || repeat(md5(g::text), 8)"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")


@contextlib.contextmanager
def tables_on_a_small_disk(server):
    """The server's tables on a disk of their own; gives its folder."""
    server.stop()
    tables = server.data / "base"
    aside = server.data.parent / "base"
    tables.rename(aside)
    tables.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=700", "none", tables], check=True)
    try:
        shutil.copytree(aside, tables, dirs_exist_ok=True)
        for path in [tables, *tables.rglob("*")]:
            shutil.chown(path, server.user, server.user)
        server.start()
        yield tables
        server.stop()
    finally:
        if server.process.poll() is None:
            server.stop("immediate")
        subprocess.run(["umount", tables], check=True)


def free_mib(disk):
    status = os.statvfs(disk)
    return status.f_bavail * status.f_frsize >> 20


def fill(disk, leave_mib):
    """A file that leaves so much; writers may be faster than it."""
    with open(disk / "filler", "ab", buffering=0) as filler:
        with contextlib.suppress(OSError):
            while leave_mib == 0 or free_mib(disk) > leave_mib:
                filler.write(bytes(1 << 18))


def test_an_index_build_on_a_full_disk():
    with ScratchServer(settings={"autovacuum": "on", "lock_timeout": "50ms"}) as server, \
            tables_on_a_small_disk(server) as disk:
        owner, admin = server.connect(), server.connect("admin")
        owner.execute(load.SCHEMA)
        admin.execute("CREATE TABLE big (id int PRIMARY KEY, s text)")
        for begin in range(0, 30000, 3000):
            admin.execute(f"INSERT INTO big SELECT g, {PAGE_FULL} FROM generate_series({begin}, {begin + 2999}) g")
        started = owner.execute("SELECT pg_postmaster_start_time()").fetchone()

        with load.Writers(lambda: server_session(server)) as writers:
            writers.wait_for_more(COMMITS)
            fill(disk, leave_mib=FREE_MIB)
            failed = submit_again(admin, "CREATE INDEX /*a*/ of_no_room ON big (s)")
            assert not wait_for_job(admin, failed)
            ended = job(admin, failed)
            assert ended["status"] == "failed" and "No space left on device" in ended["details"], ended
            assert index_state(owner, "of_no_room") == (False, False)
            # What it had taken is there for the writers.
            assert owner.execute("SELECT pg_relation_size('of_no_room')").fetchone() == (0,)
            fill(disk, leave_mib=0)
            wait_until(lambda: writers.sqlstates["53100"] >= 8, timeout=60, what="SQLSTATE 53100")
            assert admin.execute("SELECT count(*) FROM big").fetchone() == (30000,)
            (disk / "filler").unlink()
            writers.wait_for_more(COMMITS)
            change(admin, "DROP INDEX of_no_room")
            done = submit_again(admin, "CREATE INDEX /*a*/ of_room ON big (s)")
            assert wait_for_job(admin, done), job(admin, done)
            check_index(owner, "of_room")
            writers.wait_for_more(COMMITS)

        assert not writers.errors, writers.errors[0]
        assert set(writers.sqlstates) == {"53100"}, writers.sqlstates  # no connection was lost
        assert owner.execute("SELECT pg_postmaster_start_time()").fetchone() == started
        load.check(owner, writers)
        load.check_hot(owner, writers)
        load.check_no_duplicates(owner)
        load.check_heap_agreed(owner)
        assert load.check_indexes(owner) == 7


def server_session(server):
    session = psycopg.connect(host=str(server.folder), port=5432, user="admin", dbname="postgres", connect_timeout=10)
    session.prepare_threshold = None
    return session
