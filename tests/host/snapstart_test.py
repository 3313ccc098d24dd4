"""SnapStart: INIT once per version, environments are clones that share nothing they must not."""

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from support import plain_user

from host import BUILD, FUNCTIONS, PYTHON, SNAP_START, Host


def start(name, data, *options, functions=FUNCTIONS, build=None):
    return Host("--code", functions / name, "--timeout", "60", *PYTHON, *SNAP_START, *options, data=data, build=build)


def check_clones(host):
    published = host.publish()
    assert published.get("restore_path") == "clone", published
    host.ask("hold 20", 0)  # none answers before all 20 are under way, so none is used twice
    answers = host.burst(20)
    assert [a["outcome"] for a in answers] == [0] * 20, answers
    seen = [json.loads(a["payload"]) for a in answers]
    for what in seen[0]["unique"]:
        values = [one["unique"][what] for one in seen]
        assert len(set(values)) == 20, (what, values)
    assert {one["init_id"] for one in seen} == {seen[0]["init_id"]}
    for one, answer in zip(seen, answers):
        assert one["order"] == ["before 2", "before 1", "after 1", "after 2"]
        assert one["init_connection"] in ("BrokenPipeError", "ConnectionResetError")
        assert one["unique"]["connection"] != one["init_greeting"]
        # INIT's open files, named and deleted: each clone goes on from what INIT left, alone.
        request_id = answer["request_id"]
        assert one["files"] == ["from init\n" + request_id, "deleted\n" + request_id]
        assert one["key"] is None and one["stream"] is None
        assert one["uri"].startswith("http://127.0.0.1:9001/")
        assert one["pid"] != 1000
    # A datagram socket made at INIT goes on working, in the clone's own network.
    segments = host.segments()
    assert [a["request_id"] for a in answers if a["request_id"] not in segments] == []
    log = host.log()
    assert log.count("INIT_START") == 1
    assert log.count("RESTORE_START") == log.count("RESTORE_REPORT") == 20
    assert log.count("Billed Restore Duration") == 20
    assert "Init Duration: " not in log.replace("INIT_REPORT Init Duration", "")


def test_twenty_first_requests_at_once(data):
    with start("unique", data) as host:
        check_clones(host)


def test_twenty_first_requests_at_once_without_cgroups(data):
    with start("unique", data, "--no-cgroups") as host:
        check_clones(host)


@plain_user.needs_root
def test_twenty_first_requests_at_once_as_a_plain_user(plain_users_place):
    build = plain_user.copy_build(plain_users_place, "host_tool")
    functions = plain_user.copy_folder(FUNCTIONS, plain_users_place / "functions")
    with start("unique", plain_user.own_folder(plain_users_place / "data"), functions=functions, build=build) as host:
        check_clones(host)


def test_restart_runs_init_once_more_for_the_same_version(data):
    versions = []
    for _ in range(2):
        with start("unique", data) as host:
            versions.append(host.publish()["version"])
            assert host.invoke()["outcome"] == 0
            assert host.log().count("INIT_START") == 1
    assert versions[0] == versions[1]


def test_clones_are_parked_ahead_of_demand(data):
    with start("unique", data, "--parked", "3") as host:
        host.publish()
        deadline = time.monotonic() + 10
        while host.status()["parked"] < 3 and time.monotonic() < deadline:
            pass
        assert host.status()["parked"] == 3


def test_a_template_with_threads_is_not_cloned(data):
    with start("threads", data) as host:
        published = host.publish()
        assert published["restore_path"] == "cold"
        assert "threads" in published["restore_reason"]
        assert json.loads(host.invoke()["payload"]) == "cold"


@pytest.mark.parametrize(
    "function, code, word",
    [
        ("init_error", "FunctionError.RuntimeInitError", "INIT fails"),
        ("before_error", "FunctionError.RuntimeInitError", "before fails"),
        ("init_exit", "FunctionError.RuntimeInitError", "exit status 5"),
    ],
)
def test_a_failed_init_fails_the_publish(data, function, code, word):
    with start(function, data) as host:
        answer = host.publish()
        assert code in answer["error"] and word in answer["error"], answer
        refused = host.invoke()
        assert refused["outcome"] == 4 and "Failed" in refused["reason"], refused


def test_a_failed_after_hook_fails_the_invoke(data):
    with start("after_error", data) as host:
        assert host.publish()["restore_path"] == "clone"
        answer = host.invoke()
        assert answer["function_error"] == "Unhandled"
        assert json.loads(answer["payload"])["errorMessage"] == "after fails"
        assert "Status: error\tError Type: Runtime.AfterRestoreError" in host.log()


def children_of(pid):
    """All below `pid`; one that ends while it is looked at has none."""
    found = []
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child)] + children_of(child)
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def test_a_killed_clone_costs_one_request_and_a_killed_template_none(data):
    with start("unique", data) as host:
        host.publish()
        assert host.invoke()["outcome"] == 0
        # Every runtime, the template's too: their pid 1 are children of the host.
        for pid in children_of(host.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        answers = [host.invoke() for _ in range(3)]
        assert answers[-1]["outcome"] == 0, answers


def test_nothing_is_left(data):
    def groups():
        return sorted(str(path) for path in pathlib.Path("/sys/fs/cgroup").rglob("zorya-*"))

    with start("unique", data) as host:
        host.publish()
        host.ask("hold 5", 0)
        host.burst(5)
        pids = children_of(host.process.pid)
        assert len(pids) > 5
        descriptors = len(os.listdir(f"/proc/{host.process.pid}/fd"))
        for _ in range(2):
            host.ask("hold 5", 0)
            host.burst(5)
        assert len(os.listdir(f"/proc/{host.process.pid}/fd")) <= descriptors + 20
        own = [g for g in groups() if g.endswith(f"-{host.process.pid}")]
        host.close()
        assert [pid for pid in pids if os.path.exists(f"/proc/{pid}")] == []
        assert [g for g in own if os.path.exists(g)] == []


def test_a_killed_host_leaves_no_process(data):
    with start("unique", data) as host:
        host.publish()
        host.burst(3, {"sleep": 0.1})
        pids = children_of(host.process.pid)
        host.process.kill()
        host.process.wait()
        deadline = time.monotonic() + 10
        while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [pid for pid in pids if os.path.exists(f"/proc/{pid}")] == []
        left = [g for g in pathlib.Path("/sys/fs/cgroup").rglob(f"zorya-*-{host.process.pid}")]
    # Control groups are no processes: the next host removes what the dead one could not.
    with start("unique", data) as host:
        host.status()
        assert [group for group in left if group.exists()] == []


@plain_user.needs_root
def test_a_host_in_another_pid_namespace_leaves_our_control_groups_alone(data):
    with start("unique", data) as host:
        host.status()
        # It has the same tree of groups, and no process there has the number that our empty group is named after.
        command = [BUILD / "bin/host_tool", "--data", host.folder, "--log", host.log_file, "--segments", host.segments_file]
        subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", *command], stdin=subprocess.DEVNULL, timeout=60, check=True)
        assert host.publish()["restore_path"] == "clone"
        assert host.invoke()["outcome"] == 0


def template_of(pid):
    for child in children_of(pid):
        status = pathlib.Path(f"/proc/{child}/status").read_text()
        if [line for line in status.splitlines() if line.startswith("NSpid") and line.split()[-1] == "1000"]:
            return child
    return None


def test_a_lost_template_is_made_anew_and_its_clones_serve_on(data):
    with start("unique", data) as host:
        host.publish()
        host.process.stdin.write('burst 4 {"sleep": 2}\n')
        host.process.stdin.flush()
        while host.log().count("START RequestId") < 4:
            time.sleep(0.01)
        os.kill(template_of(host.process.pid), signal.SIGKILL)
        answers = [json.loads(host.process.stdout.readline()) for _ in range(4)]
        assert [a["outcome"] for a in answers] == [0] * 4, answers
        # The loss is seen when the next clone is wanted; nobody's request fails for it.
        answers = host.burst(8, {"sleep": 1})
        assert [a["outcome"] for a in answers] == [0] * 8, answers
        deadline = time.monotonic() + 30
        while template_of(host.process.pid) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert template_of(host.process.pid) is not None
        assert host.log().count("Phase: snap-start") >= 1


def test_a_host_that_is_stopped_does_not_wait_for_an_install():
    # A fresh data folder: the runtime's packages have to be fetched, which takes many seconds.
    with start("unique", None) as host:
        began = time.monotonic()
        host.ask("publish-and-stop", 0)
        host.process.stdin.close()
        assert host.process.wait(30) == 0
        assert time.monotonic() - began < 8
