"""A private cluster's life: made, restarted, moved, killed, refused. Every test has servers of its own."""
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import time

import psycopg
import pytest

from support import plain_user
from support.private_cluster import ID, OWNER, ClusterError, PrivateClusters, processes_in, scratch_folder
from support.waiting import wait_until

SECOND_ID = "othercluster00000000000000"
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def folder():
    # Not pytest's own: the server's user could not pass through its 0700 folders.
    path = scratch_folder()
    yield path
    left = processes_in_tree(path)
    shutil.rmtree(path, ignore_errors=True)
    assert not left, f"processes left behind: {left}"


def processes_in_tree(path):
    return [pid for data in path.glob("**/clusters/*/data") for pid in processes_in(data)]


@pytest.fixture(scope="module")
def template():
    """The template of a data folder, made once: it costs a second or two."""
    path = scratch_folder()
    with PrivateClusters(path / "data"):
        pass
    yield next((path / "data" / "clusters").glob(".template-*"))
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def data(folder, template):
    """A data folder that has the template already."""
    clusters = folder / "data" / "clusters"
    clusters.mkdir(parents=True)
    subprocess.run(["cp", "-a", template, clusters], check=True)
    return folder / "data"


def cluster_folder(data, cluster=ID):
    return data / "clusters" / cluster


def make_table(connection):
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    connection.execute("INSERT INTO t VALUES (1, 'kept')")


def rows(connection):
    return connection.execute("SELECT id, v FROM t ORDER BY id").fetchall()


def test_rows_survive_a_restart_and_the_second_start_makes_nothing(data):
    with PrivateClusters(data) as clusters:
        make_table(clusters.connect())
    made = sorted(path.name for path in (data / "clusters").iterdir())
    with PrivateClusters(data) as clusters:
        assert rows(clusters.connect()) == [(1, "kept")]
    assert sorted(path.name for path in (data / "clusters").iterdir()) == made
    assert not processes_in(cluster_folder(data) / "data")


def test_a_moved_data_folder_serves(data, folder):
    with PrivateClusters(data) as clusters:
        make_table(clusters.connect())
    moved = folder / "somewhere" / "else"
    moved.parent.mkdir()
    data.rename(moved)
    with PrivateClusters(moved) as clusters:
        connection = clusters.connect()
        assert rows(connection) == [(1, "kept")]
        connection.execute("INSERT INTO t VALUES (2, 'new')")  # needs the library at its new place


def test_a_very_long_path_serves(folder):
    deep = folder / ("d" * 60) / ("e" * 60) / "data"
    deep.parent.mkdir(parents=True)
    with PrivateClusters(deep) as clusters:
        place = pathlib.Path(clusters.info()["socket_folder"])
        assert len(str(place)) < 90 and not str(place).startswith(str(folder))
        assert place.stat().st_mode & 0o077 == 0
        make_table(clusters.connect())
    assert not place.exists()


def test_a_killed_postmaster_is_started_again(data):
    with PrivateClusters(data) as clusters:
        make_table(clusters.connect())
        first = clusters.info()["postmaster_pid"]
        os.kill(first, signal.SIGKILL)
        second = wait_until(lambda: (clusters.info()["postmaster_pid"] or first) != first, what="the restart")
        assert second
        assert clusters.info()["state"] == "ACTIVE"
        assert rows(clusters.connect()) == [(1, "kept")]


def test_a_killed_server_leaves_no_shared_memory(data):
    def segments():
        return len(list((cluster_folder(data) / "data" / "pg_dynshmem").iterdir()))
    with PrivateClusters(data) as clusters:
        before = segments()
        pid = clusters.info()["postmaster_pid"]
        assert "/dev/shm/PostgreSQL" not in pathlib.Path(f"/proc/{pid}/maps").read_text()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: clusters.info()["postmaster_pid"] not in (0, pid), what="the restart")
        assert segments() == before


def test_a_killed_backend_costs_sessions_and_no_server(data):
    with PrivateClusters(data) as clusters:
        connection = clusters.connect()
        make_table(connection)
        pid = clusters.info()["postmaster_pid"]
        os.kill(connection.info.backend_pid, signal.SIGKILL)

        def serves():
            try:
                return rows(clusters.connect()) == [(1, "kept")]
            except psycopg.OperationalError:
                return False
        wait_until(serves, what="recovery")
        assert clusters.info()["postmaster_pid"] == pid


@pytest.mark.parametrize("pause_s", [0.0, 0.02, 0.1])
def test_a_stop_that_meets_a_recovery_is_quick(data, pause_s):
    with PrivateClusters(data) as clusters:
        os.kill(clusters.connect().info.backend_pid, signal.SIGKILL)
        time.sleep(pause_s)  # no race is waited for here: each moment must do
        begin = time.monotonic()
        clusters.stop()
        assert time.monotonic() - begin < 5
    assert not processes_in(cluster_folder(data) / "data")


def test_what_a_killed_owner_left_is_ended_first(data):
    clusters = PrivateClusters(data)
    clusters.start()
    make_table(clusters.connect())
    pid = clusters.info()["postmaster_pid"]
    # A stopped postmaster can do nothing about our death: the worst leftover.
    os.kill(pid, signal.SIGSTOP)
    clusters.kill()
    assert pid in processes_in(cluster_folder(data) / "data")
    with PrivateClusters(data) as again:
        assert pid not in processes_in(cluster_folder(data) / "data")
        assert rows(again.connect()) == [(1, "kept")]


def test_servers_end_with_a_killed_owner(data):
    clusters = PrivateClusters(data)
    clusters.start()
    clusters.kill()
    wait_until(lambda: not processes_in(cluster_folder(data) / "data"), what="the servers' end")


def test_a_pid_file_whose_number_is_somebody_elses_stops_nothing(data):
    with PrivateClusters(data):
        pass
    pid_file = cluster_folder(data) / "data" / "postmaster.pid"
    # A process of the server's own user, which PostgreSQL itself would take for a running server.
    prefix = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if IS_ROOT else []
    bystander = subprocess.Popen([*prefix, "sleep", "100"])
    try:
        pid_file.write_text(f"{bystander.pid}\n{pid_file.parent}\n1700000000\n5432\n/tmp\n\n  5432001  4711\nready   \n")
        if IS_ROOT:
            shutil.chown(pid_file, "postgres", "postgres")
        with PrivateClusters(data) as clusters:
            assert clusters.info()["state"] == "ACTIVE"
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_two_clusters_are_two_servers(data):
    with PrivateClusters(data, ID, SECOND_ID) as clusters:
        make_table(clusters.connect(cluster=ID))
        with pytest.raises(psycopg.errors.UndefinedTable):
            rows(clusters.connect(cluster=SECOND_ID))
        pids = {info["postmaster_pid"] for info in clusters.ask()}
        assert len(pids) == 2 and 0 not in pids


def test_a_second_cluster_is_there_in_well_under_a_second(data):
    took = []
    with PrivateClusters(data) as clusters:
        for last in "abc":  # the best of three: others may want the processor
            wait_until(lambda: list((data / "clusters").glob(".spare-*")), what="the copy made ahead")
            begin = time.monotonic()
            clusters.ask(f"ensure {SECOND_ID[:-1]}{last}")
            took.append(time.monotonic() - begin)
        assert min(took) < 1.0, took
        assert f"{SECOND_ID[:-1]}a" in [info["id"] for info in clusters.ask()]


def test_an_id_of_another_form_is_refused(data):
    with PrivateClusters(data) as clusters:
        for name in ("short", "UPPERCASE00000000000000000", "../../../../etc/passwd00000", "a" * 27):
            with pytest.raises(ClusterError, match="is no cluster id"):
                clusters.ask(f"ensure {name}")


def test_a_shipped_start_lets_no_superuser_in(data):
    with PrivateClusters(data, owner_door=True) as clusters:
        assert clusters.connect(OWNER).execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()[0]
        superusers = clusters.connect(OWNER).execute("SELECT rolname FROM pg_roles WHERE rolsuper").fetchall()
    with PrivateClusters(data) as clusters:
        for (role,) in superusers:
            with pytest.raises(psycopg.OperationalError, match="pg_hba.conf rejects connection"):
                clusters.connect(role)
        with pytest.raises(psycopg.OperationalError, match="standby connections|pg_hba.conf rejects"):
            clusters.connect("admin", replication="true")
        with pytest.raises(psycopg.OperationalError):
            clusters.connect("no_such_role")
        assert superusers == [(OWNER,)]


def test_admin_is_an_ordinary_role(data):
    with PrivateClusters(data, owner_door=True) as clusters:
        row = clusters.connect(OWNER).execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls FROM pg_roles"
            " WHERE rolname = 'admin'").fetchone()
        assert row == (False, False, False, True, False, False)


def test_clients_cannot_take_every_connection(data):
    """The router looks by one of its own who holds up a schema change."""
    with PrivateClusters(data) as clusters:
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            for _ in range(200):
                clusters.connect()
        assert len(clusters.connections) == 192
        for _ in range(3):
            clusters.connect("zorya_control").execute("SELECT * FROM sys.lock_holders('{1}')")


def test_forced_settings_hold_whatever_the_files_say(data):
    with PrivateClusters(data):
        pass
    inner = cluster_folder(data) / "data"
    with open(inner / "postgresql.conf", "a") as file:
        file.write("fsync = off\nlisten_addresses = '*'\nport = 6543\nshared_preload_libraries = ''\n"
                   "unix_socket_directories = '/tmp'\nlock_timeout = 0\n")
    with open(inner / "pg_hba.conf", "w") as file:
        file.write("local all all trust\n")
    with PrivateClusters(data, owner_door=True) as clusters:
        owner = clusters.connect(OWNER)

        def shown(name):
            return owner.execute(f"SHOW {name}").fetchone()[0]
        assert shown("fsync") == "on"
        assert shown("listen_addresses") == ""
        assert shown("lock_timeout") == "50ms"
        assert "zorya_query_processor" in shown("shared_preload_libraries")
        assert shown("unix_socket_directories").endswith("/run")
    with PrivateClusters(data) as clusters:
        with pytest.raises(psycopg.OperationalError):
            clusters.connect(OWNER)


def test_nothing_listens_on_tcp(data):
    with PrivateClusters(data) as clusters:
        pid = clusters.info()["postmaster_pid"]
        sockets = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        inodes = {name[8:-1] for name in sockets if name.startswith("socket:")}
        for table in ("tcp", "tcp6"):
            for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                assert not (fields[9] in inodes and fields[3] == "0A"), line


def test_modes_keep_others_out(data):
    with PrivateClusters(data):
        inner = cluster_folder(data)
        assert (inner / "data").stat().st_mode & 0o077 == 0
        assert (inner / "run").stat().st_mode & 0o077 == 0
        assert (inner / "server.log").stat().st_mode & 0o077 == 0
        assert data.stat().st_mode & 0o066 == 0
        assert (data / "clusters").stat().st_mode & 0o066 == 0
        if IS_ROOT:
            postgres = pwd.getpwnam("postgres").pw_uid
            assert (inner / "data").stat().st_uid == postgres
            # What decides who may log in is not the server's to write.
            for path in (inner, inner / "pg_hba.conf", data / "clusters"):
                assert path.stat().st_uid == 0 and path.stat().st_mode & 0o022 == 0


def test_the_log_holds_no_statement_and_no_value(data):
    with PrivateClusters(data) as clusters:
        connection = clusters.connect()
        connection.execute("CREATE TABLE s (secret text PRIMARY KEY)")
        connection.execute("INSERT INTO s VALUES ('hunter2')")
        for statement in ("INSERT INTO s VALUES ('hunter2')", "SELECT 'hunter2'::int", "SELEC 'hunter2'"):
            with pytest.raises(psycopg.Error):
                connection.execute(statement)
    assert "hunter2" not in (cluster_folder(data) / "server.log").read_text()


def test_a_server_that_cannot_start_fails_with_its_own_words(data):
    with PrivateClusters(data):
        pass
    (cluster_folder(data) / "data" / "global" / "pg_control").unlink()
    with pytest.raises(ClusterError, match="start cluster .*could not find the database system.*pg_control"):
        PrivateClusters(data).start()


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
def test_a_closed_parent_folder_is_named(folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ClusterError, match=f"cannot pass through {closed}"):
        PrivateClusters(closed / "data").start()


@pytest.mark.skipif(not IS_ROOT, reason="mounts need root")
def test_a_full_disk_is_said_and_nothing_is_left_half_made(folder):
    small = folder / "small"
    small.mkdir(mode=0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,mode=755", "none", small], check=True)
    try:
        with pytest.raises(ClusterError, match="No space left on device"):
            PrivateClusters(small / "data").start()
        assert [path.name for path in (small / "data" / "clusters").iterdir() if not
                path.name.startswith(".extension-")] == []
        subprocess.run(["mount", "-o", "remount,size=200m", small], check=True)
        with PrivateClusters(small / "data") as clusters:
            make_table(clusters.connect())
    finally:
        subprocess.run(["umount", small], check=True)


@plain_user.needs_root
def test_a_plain_user_has_the_same(folder):
    build = plain_user.copy_build(folder, "zorya_cluster_tool")
    home = plain_user.own_folder(folder / "home")
    with PrivateClusters(home / "data", prefix=plain_user.as_plain_user(), build=build) as clusters:
        pid = clusters.info()["postmaster_pid"]
        assert os.stat(f"/proc/{pid}").st_uid == plain_user.UID
        connection = clusters.connect()
        make_table(connection)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: clusters.info()["postmaster_pid"] not in (0, pid), what="the restart")
        assert rows(clusters.connect()) == [(1, "kept")]
