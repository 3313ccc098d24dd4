"""Recovery makes every page as it was: PostgreSQL compares them itself (wal_consistency_checking), byte by byte, and ends when
one differs. For the deletes of a COMMIT, which are logged by page."""
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import heap_copy  # noqa: E402

from support.scratch_server import ScratchServer  # noqa: E402

ROWS = 3000
LONG = "(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 300) g)"
DELETES = {
    "whole_pages": ["DELETE FROM t WHERE id <= 2000"],
    "every_other_row": ["DELETE FROM t WHERE id % 2 = 0"],
    "single_rows": ["DELETE FROM t WHERE id % 500 = 0"],
    "with_toast": [f"UPDATE t SET v = {LONG} WHERE id % 7 = 0", "DELETE FROM t WHERE id <= 1000"],
    "beside_updates": ["DELETE FROM t WHERE id % 3 = 0", "UPDATE t SET n = -n WHERE id % 3 = 1", "UPDATE t SET v = 'w' WHERE id % 3 = 2"],
}


@pytest.fixture(scope="module")
def server():
    with ScratchServer(settings={"wal_consistency_checking": "all", "checkpoint_timeout": "1h"}) as running:
        yield running


def generic_records(server, since, until):
    done = subprocess.run([str(server.programs / "pg_waldump"), "-p", str(server.data / "pg_wal"), "--rmgr=Generic", "-s", since, "-e", until],
                          capture_output=True, text=True, check=True)
    return len(done.stdout.splitlines())


def kill(server):
    server.stop("kill")
    (server.data / "postmaster.pid").unlink(missing_ok=True)


def make_table(owner):
    owner.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, n int, v text); ALTER TABLE t ALTER v SET STORAGE EXTERNAL")
    owner.execute("CREATE INDEX ON t (n); ALTER TABLE t OWNER TO admin")
    owner.execute(f"INSERT INTO t SELECT g, g, 'text ' || g FROM generate_series(1, {ROWS}) g")
    owner.execute("VACUUM t")  # all visible: the map has to change
    owner.execute("CHECKPOINT")


def content(connection):
    connection.execute("SET enable_indexscan = off; SET enable_bitmapscan = off")
    return connection.execute("SELECT count(*), sum(id), sum(n), md5(string_agg(id || v, '|' ORDER BY id)) FROM t").fetchone()


@pytest.mark.parametrize("case", DELETES)
def test_deletes_are_replayed_as_they_were_done(server, case):
    owner = server.connect()
    make_table(owner)
    since = owner.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0]
    admin = server.connect("admin")
    for statement in DELETES[case]:
        admin.execute(statement)
    before = content(owner)
    until = owner.execute("SELECT pg_current_wal_flush_lsn()").fetchone()[0]
    kill(server)
    assert generic_records(server, since, until) > 0 or case == "single_rows"
    server.start()
    owner = server.connect()
    assert content(owner) == before
    assert owner.execute("SELECT apply_failures FROM sys.commit_stats()").fetchone() == (0,)
    owner.execute("VACUUM t")  # what was deleted can go
    assert content(owner) == before
    kill(server)
    with heap_copy.heap_copy(server.data, server.folder) as copy:
        assert heap_copy.check_heap(copy) == 1
        assert content(copy) == before
    server.start()
