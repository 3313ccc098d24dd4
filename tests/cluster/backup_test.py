"""zorya backup and zorya restore: a copy answers the same, or there is none."""
import json
import os
import pathlib
import pwd
import random
import shutil
import subprocess
import sys
import textwrap
import time

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "crash"))
import writers as load  # noqa: E402

from support.jobs import wait_for_open_jobs  # noqa: E402
from support.private_cluster import OWNER, PrivateClusters, processes_in, scratch_folder  # noqa: E402
from support.waiting import wait_until  # noqa: E402
from support.scratch_server import build_folder  # noqa: E402
from support.zorya_up import Up  # noqa: E402

ZORYA = str(build_folder() / "bin" / "zorya")
IS_ROOT = os.geteuid() == 0
SEED = int(os.environ.get("ZORYA_CRASH_SEED", str(random.randrange(1 << 32))))
KILLS = int(os.environ.get("ZORYA_BACKUP_KILLS", "3"))
TEMPLATE = textwrap.dedent("""\
    Transform: AWS::Serverless-2016-10-31
    Resources:
      Db:
        Type: AWS::DSQL::Cluster
        Properties: {DeletionProtectionEnabled: false}
    """)
SCHEMA = (
    "CREATE TABLE parents (id int PRIMARY KEY, name text NOT NULL UNIQUE)",
    "CREATE TABLE rows (id int PRIMARY KEY, parent int, tag int NOT NULL, v text)",
    "INSERT INTO parents SELECT g, 'parent ' || g FROM generate_series(1, 10) g",
    "INSERT INTO rows SELECT g, 1 + g % 10, g % 7, repeat('v', g) FROM generate_series(1, 1500) g",
    "CREATE INDEX ASYNC ON rows (tag)",
    "CREATE VIEW many AS SELECT tag, count(*) AS n FROM rows GROUP BY tag",
)
QUESTIONS = (
    "SELECT * FROM rows ORDER BY id", "SELECT * FROM parents ORDER BY id", "SELECT * FROM many ORDER BY tag",
    "SELECT id FROM rows WHERE tag = 3 ORDER BY id",
    "SELECT job_id, status, job_type FROM sys.jobs ORDER BY job_id",
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
    "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute a JOIN pg_class c"
    " ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND attnum > 0 ORDER BY attrelid::regclass::text, attnum",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace ="
    " 'public'::regnamespace ORDER BY 1, 2",
)


@pytest.fixture
def place():
    folder = scratch_folder()
    yield folder
    left = [pid for data in folder.glob("**/clusters/*/data") for pid in processes_in(data)]
    shutil.rmtree(folder, ignore_errors=True)
    assert not left, f"processes left behind: {left}"


def start(place, data="data"):
    template = place / "template.yaml"
    template.write_text(TEMPLATE)
    up = Up(place, template, "--stack", "copies")
    up.data = place / data
    return up


def fill(up):
    with up.connect(autocommit=True) as connection:
        for statement in SCHEMA:
            connection.execute(statement)
        wait_for_open_jobs(connection, timeout=60)


@pytest.fixture(scope="module")
def instance():
    """A running instance with rows, for tests that leave it as it is."""
    folder = scratch_folder()
    try:
        with start(folder) as up:
            fill(up)
            yield up
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def backup(instance):
    folder = instance.data.parent / "backup"
    zorya(instance.data, "backup", "--to", folder)
    return folder


def zorya(data, *words, code=0, prefix=()):
    done = subprocess.run([*prefix, ZORYA, words[0], "--data", str(data), *map(str, words[1:])], capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def answers(connection):
    return [connection.execute(question).fetchall() for question in QUESTIONS]


def connect_to(up, cluster):
    """As `up.connect`, to a cluster that the ready file does not name."""
    database = dict(up.ready["dsql"][0])
    database |= {"id": cluster, "endpoint": database["endpoint"].replace(database["id"], cluster)}
    other = Up.__new__(Up)
    other.ready = up.ready | {"dsql": [database]}
    return other.connect(autocommit=True)


def half_made(up_data):
    return [path.name for path in (up_data / "clusters").iterdir() if path.name.startswith(".making-")]


def clusters_of(data):
    return sorted(path.name for path in (data / "clusters").iterdir() if not path.name.startswith("."))


def test_a_restored_copy_answers_the_same(place):
    with start(place) as up:
        fill(up)
        with up.connect(autocommit=True) as connection:
            before = answers(connection)
        said = [json.loads(line) for line in zorya(up.data, "backup", "Db", "--json", "--to", place / "copy").splitlines()]
        assert said[-1]["cluster"] == up.cluster and said[-1]["size_bytes"] > 1 << 20
        made = json.loads(zorya(up.data, "restore", place / "copy", "--json").splitlines()[-1])
        cluster = made["cluster"]
        assert cluster != up.cluster
        with connect_to(up, cluster) as copy, up.connect(autocommit=True) as connection:
            assert answers(copy) == before
            # Two clusters from now on.
            copy.execute("UPDATE rows SET v = 'changed' WHERE id = 1")
            copy.execute("CREATE INDEX ASYNC ON rows (v)")
            wait_for_open_jobs(copy, timeout=60)
            assert answers(connection) == before
            changed = answers(copy)
        assert zorya(up.data, "psql", "--cluster", cluster, "--", "-Atc", "SELECT count(*) FROM rows").strip() == "1500"
        assert zorya(up.data, "psql", "--", "-Atc", "SELECT v FROM rows WHERE id = 1").strip() == "v"
        up.stop()
        up.start()
        with connect_to(up, cluster) as copy:
            assert answers(copy) == changed
    with PrivateClusters(place / "data", cluster, owner_door=True) as clusters:
        assert load.check_indexes(clusters.connect(OWNER)) == 5


def test_a_backup_under_writers_is_a_moment_of_theirs(place):
    with start(place) as up:
        with up.connect(autocommit=True) as connection:
            for statement in load.SCHEMA.replace("CREATE INDEX", "CREATE INDEX ASYNC").split(";\n"):
                if statement.strip() and "OWNER" not in statement:
                    connection.execute(statement)
            wait_for_open_jobs(connection, timeout=60)
        with load.Writers(up.connect, count=4) as writers:
            writers.wait_for_more(100)
            before = list(writers.acknowledged)
            zorya(up.data, "backup", "--to", place / "copy")
            after = [n + 1 for n in writers.acknowledged]  # one may be under way
            writers.wait_for_more(20)
        assert not writers.errors, writers.errors[0]
    zorya(place / "data", "restore", place / "copy", "--id", "c" * 26)
    with PrivateClusters(place / "data", "c" * 26, owner_door=True) as clusters:
        owner = clusters.connect(OWNER)
        found = dict(owner.execute("SELECT writer, n FROM counters").fetchall())
        assert all(least <= found[w] <= most for w, (least, most) in enumerate(zip(before, after))), (before, found, after)
        as_of_then = load.Writers(None, count=4)
        as_of_then.acknowledged = [found[w] for w in range(4)]
        as_of_then.hot_acknowledged = [n // 4 for n in as_of_then.acknowledged]
        load.check(owner, as_of_then)
        load.check_hot(owner, as_of_then)
        load.check_no_duplicates(owner)
        assert load.check_indexes(owner) == 5


def test_a_restore_into_an_empty_data_folder_is_what_the_cluster_was(place):
    with start(place) as up:
        fill(up)
        cluster = up.cluster
        with up.connect(autocommit=True) as connection:
            before = answers(connection)
    zorya(place / "data", "backup", "--to", place / "copy")  # nothing runs: it is started for the time
    zorya(place / "other", "restore", place / "copy", "--id", cluster)
    assert not processes_in(place / "other" / "clusters" / cluster / "data")
    (place / "data").rename(place / "gone")
    with start(place, "other") as up:
        assert up.cluster == cluster
        with up.connect(autocommit=True) as connection:
            assert answers(connection) == before


def test_modes_keep_others_out_and_no_key_is_in_it(instance, backup):
    secret = instance.ready["secret_access_key"].encode()
    for path in (backup, *backup.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.stat().st_uid == os.geteuid(), path
        assert path.is_dir() or secret not in path.read_bytes(), path
    manifest = json.loads((backup / "zorya_backup.json").read_text())
    assert manifest["format"] == 1 and manifest["cluster"] == instance.cluster and manifest["postgresql"].startswith("15.")
    cluster = json.loads(zorya(instance.data, "restore", backup, "--json").splitlines()[-1])["cluster"]
    data = instance.data / "clusters" / cluster / "data"
    owner = pwd.getpwnam("postgres").pw_uid if IS_ROOT else os.geteuid()
    for path in (data, *data.rglob("*")):
        assert path.stat().st_uid == owner and path.stat().st_mode & 0o077 == 0, path
    assert not (data / "backup_manifest").exists() and half_made(instance.data) == []


def last_percents(said):
    """Of each step the last one told."""
    return {line["step"]: line["percent"] for line in said if "step" in line}


def test_progress_of_a_backup_ends_with_all_of_it(instance, place):
    said = [json.loads(line) for line in zorya(instance.data, "backup", "--to", place / "copy", "--json").splitlines()]
    assert last_percents(said) == {"copy": 100, "verify": 100}


def test_progress_is_told_with_bytes_and_percent(instance, backup):
    said = [json.loads(line) for line in zorya(instance.data, "restore", backup, "--json").splitlines()]
    steps = [line["step"] for line in said if "step" in line]
    assert steps[0] == "copy" and "start" in steps
    assert last_percents(said) == {"copy": 100, "verify": 100, "start": 100}
    copied = [line for line in said if line.get("step") == "copy"]
    assert all(0 <= line["percent"] <= 100 and line["done_bytes"] <= line["total_bytes"] for line in copied)
    done = subprocess.run([ZORYA, "restore", "--data", str(instance.data), str(backup)], capture_output=True, text=True, timeout=60)
    assert "copy  0 %" in done.stderr and "its endpoint is" in done.stdout


def test_nothing_is_overwritten(instance, backup, place):
    (place / "full").mkdir()
    (place / "full" / "mine").write_text("kept")
    assert "nothing is overwritten" in zorya(instance.data, "backup", "--to", place / "full", code=1)
    assert [path.name for path in place.iterdir()] == ["full"] and (place / "full" / "mine").read_text() == "kept"
    (place / "other.incomplete").mkdir()
    (place / "other.incomplete" / "mine").write_text("kept")
    assert "was not made by a backup" in zorya(instance.data, "backup", "--to", place / "other", code=1)
    assert (place / "other.incomplete" / "mine").read_text() == "kept"
    before = clusters_of(instance.data)
    assert "nothing is overwritten" in zorya(instance.data, "restore", backup, "--id", instance.cluster, code=1)
    zorya(instance.data, "restore", backup, "--id", "NOT AN ID", code=2)
    assert clusters_of(instance.data) == before


def test_what_cannot_be_copied_is_said(instance, place):
    assert "there is no cluster Other" in zorya(instance.data, "backup", "Other", "--to", place / "copy", code=1)
    assert "No such file" in zorya(instance.data, "backup", "--to", place / "absent" / "copy", code=1)
    assert "nothing was ever started" in zorya(place / "nothing", "backup", "--to", place / "copy", code=1)
    assert list(place.iterdir()) == []


def spoil_byte(folder):
    """One bit of a file of rows."""
    path = max((folder / "data" / "base").rglob("*"), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_file(folder):
    path = folder / "data" / "global" / "pg_control"
    path.write_bytes(path.read_bytes()[:4096])


def lose_log(folder):
    next((folder / "data" / "pg_wal").glob("0*")).unlink()


def lose_file(folder):
    (folder / "data" / "PG_VERSION").unlink()


def swap_list(folder):
    """A list of files that is sound in itself, and another backup's."""
    path = folder / "zorya_backup.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"checksum": "0" * 64}))


def change_manifest(**members):
    def change(folder):
        path = folder / "zorya_backup.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | members))
    return change


def be_older(folder):
    (folder / "data" / "PG_VERSION").write_text("14\n")


def be_a_link(folder):
    path = folder / "data" / "pg_hba.conf"
    path.unlink()
    path.symlink_to("/etc/shadow")


def have_a_tablespace(folder):
    (folder / "data" / "pg_tblspc" / "16500").symlink_to("/tmp")


@pytest.mark.parametrize("spoil,words", [
    (spoil_byte, "checksum mismatch for file"),
    (cut_file, "has size 4096"),
    (lose_log, "its files are not those that zorya_backup.json tells of"),
    (lose_file, "PG_VERSION: No such file"),
    (swap_list, "its files are not those"),
    (lambda folder: (folder / "zorya_backup.json").unlink(), "is no backup: it has no zorya_backup.json"),
    (lambda folder: (folder / "zorya_backup.json").write_text('{"format":'), "zorya_backup.json is broken"),
    (lambda folder: (folder / "zorya_backup_incomplete").write_text(""), "did not come to its end"),
    (change_manifest(format=2), "it is of format 2; this zorya reads format 1"),
    (change_manifest(cluster="../../escape"), "it names no cluster"),
    (be_older, "the backup is of PostgreSQL 14"),
    (be_a_link, "pg_hba.conf is neither file nor folder"),
    (have_a_tablespace, "16500 is neither file nor folder"),
    (shutil.rmtree, "is no folder"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_backup_that_is_none_is_refused_and_leaves_nothing(instance, backup, place, spoil, words):
    copy = place / "spoilt"
    shutil.copytree(backup, copy, symlinks=True)
    spoil(copy)
    before = clusters_of(instance.data)
    assert words in zorya(instance.data, "restore", copy, code=1)
    assert clusters_of(instance.data) == before
    # The instance itself may make the template's next copy just now.
    wait_until(lambda: not half_made(instance.data), what="no half made cluster")
    assert words in zorya(place / "fresh", "restore", copy, code=1)
    assert not (place / "fresh").exists()


def test_a_backup_of_postgresqls_own_is_refused(instance, backup, place):
    assert "not of zorya's" in zorya(instance.data, "restore", backup / "data", code=1)


def test_settings_in_a_backup_steer_no_server(instance, backup, place):
    copy = place / "settings"
    shutil.copytree(backup, copy)
    # pg_verifybackup lets these be, as PostgreSQL writes them by itself.
    (copy / "data" / "postgresql.auto.conf").write_text("archive_mode = on\narchive_command = 'touch /tmp/zorya-was-here'\n")
    cluster = json.loads(zorya(instance.data, "restore", copy, "--json").splitlines()[-1])["cluster"]
    assert "archive" not in (instance.data / "clusters" / cluster / "data" / "postgresql.auto.conf").read_text()
    with connect_to(instance, cluster) as connection:
        assert connection.execute("SELECT count(*) FROM rows").fetchone() == (1500,)


def test_the_backups_role_can_do_nothing_else(instance, backup):
    sockets = instance.data / "clusters" / instance.cluster / "run"

    def connect(**options):
        return psycopg.connect(host=str(sockets), dbname="postgres", connect_timeout=10, autocommit=True, **options)
    with pytest.raises(psycopg.OperationalError, match="pg_hba.conf rejects connection"):
        connect(user="zorya_backup")
    with pytest.raises(psycopg.OperationalError, match="pg_hba.conf rejects connection"):
        connect(user="zorya_backup", replication="database")
    for user in ("admin", OWNER):
        with pytest.raises(psycopg.OperationalError, match="pg_hba.conf rejects replication connection"):
            connect(user=user, replication="true")
    with instance.connect(autocommit=True) as connection:
        assert connection.execute("SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication FROM pg_roles"
                                  " WHERE rolname = 'zorya_backup'").fetchone() == (False, False, False, False, True)
        for statement in ("SET ROLE zorya_backup", "GRANT zorya_backup TO admin", "DROP ROLE zorya_backup"):
            with pytest.raises(psycopg.Error):
                connection.execute(statement)


def test_a_second_backup_at_the_same_time_is_refused(instance, place):
    sockets = instance.data / "clusters" / instance.cluster / "run"

    def hold(name):
        connection = psycopg.connect(host=str(sockets), user="zorya_backup", replication="true", autocommit=True)
        connection.execute(f"CREATE_REPLICATION_SLOT {name} TEMPORARY PHYSICAL")
        return connection
    with hold("one"), hold("two"):
        assert "another backup of this cluster is being made" in zorya(instance.data, "backup", "--to", place / "copy", code=1)
    assert list(place.iterdir()) == []
    zorya(instance.data, "backup", "--to", place / "copy")
    # One that is killed is no obstacle to the next, either.
    asking = launch(instance.data, "backup", "--to", place / "killed")
    wait_until(lambda: (place / "killed.incomplete").exists() or asking.poll() is not None, what="a backup that has begun")
    asking.kill()
    asking.wait()

    def is_free():
        done = subprocess.run([ZORYA, "backup", "--data", instance.data, "--to", place / "next"], capture_output=True, text=True)
        assert done.returncode == 0 or "another backup of it is being made" in done.stderr, done.stderr
        return done.returncode == 0
    wait_until(is_free, what="a backup")


def tools_that_run():
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    return [line for line in found.splitlines() if "pg_basebackup" in line or "pg_verifybackup" in line]


def launch(data, *words):
    return subprocess.Popen([ZORYA, words[0], "--data", str(data), *map(str, words[1:])], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_who_asked_may_be_killed_at_any_moment(instance, backup, place):
    print(f"repeat with ZORYA_CRASH_SEED={SEED}")
    moments = random.Random(SEED)
    before = clusters_of(instance.data)

    def mine():
        return [line for line in tools_that_run() if str(place) in line or str(instance.data) in line]
    for number in range(KILLS):
        copy = place / f"copy{number}"
        for words in (("backup", "--to", copy), ("restore", backup, "--id", f"{number:026}")):
            asking = launch(instance.data, *words)
            time.sleep(moments.uniform(0, 0.4))  # any moment must do
            asking.kill()
            asking.wait()
            # The instance hears of it at its next word: all of it is there, or nothing.
            wait_until(lambda: not mine() and not half_made(instance.data) and not list(place.glob("*.incomplete")),
                       what="the end of what was begun")
        if copy.exists():
            zorya(instance.data, "restore", copy)
    for cluster in set(clusters_of(instance.data)) - set(before):
        wait_until(lambda: connect_to(instance, cluster), what="a whole cluster")


def test_zorya_may_be_killed_at_any_moment(place):
    print(f"repeat with ZORYA_CRASH_SEED={SEED}")
    moments = random.Random(SEED)
    with start(place) as up:
        fill(up)
        zorya(up.data, "backup", "--to", place / "sound")
        for number in range(KILLS):
            for words in (("backup", "--to", place / "copy"), ("restore", place / "sound", "--id", f"{number:026}")):
                asking = launch(up.data, *words)
                time.sleep(moments.uniform(0, 0.4))
                up.kill()
                asking.wait(timeout=30)
                wait_until(lambda: not [line for line in tools_that_run() if str(place) in line], what="the end of the tools")
                up.start()
                assert half_made(up.data) == []
            shutil.rmtree(place / "copy", ignore_errors=True)
            # What a killed one left is no backup, and is no obstacle.
            if (left := place / "copy.incomplete").exists():
                assert "is no backup" in (said := zorya(up.data, "restore", left, code=1)) or "did not come to its end" in said
            zorya(up.data, "backup", "--to", place / "copy")
            assert not left.exists()
            shutil.rmtree(place / "copy")
        for cluster in clusters_of(up.data):
            with connect_to(up, cluster) as connection:
                assert connection.execute("SELECT count(*) FROM rows").fetchone() == (1500,)


@pytest.mark.skipif(not IS_ROOT, reason="mounts need root")
def test_a_full_disk_is_said_and_leaves_nothing(instance, backup, place):
    small = place / "small"
    small.mkdir(mode=0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "none", small], check=True)
    try:
        assert "No space left on device" in zorya(instance.data, "backup", "--to", small / "copy", code=1)
        assert list(small.iterdir()) == []
        assert "No space left on device" in zorya(small / "data", "restore", backup, code=1)
        assert list(small.iterdir()) == []
        subprocess.run(["mount", "-o", "remount,size=200m", small], check=True)
        zorya(instance.data, "backup", "--to", small / "copy")
    finally:
        subprocess.run(["umount", small], check=True)
