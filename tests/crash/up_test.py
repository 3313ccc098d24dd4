"""kill -9 of zorya, of the postmaster, of a backend and of an environment, in turn, during requests to the todo example.

After it every acknowledged todo is there, once, and amcheck is clean. ZORYA_CRASH_REQUESTS (default 10000) is the number of
requests over the whole run, ZORYA_CRASH_ROUNDS (default 1) repeats the kills; ZORYA_CRASH_EXAMPLE (default todos-cpp) is the
example that serves them.
"""
import http.client
import json
import os
import pathlib
import shutil
import signal
import sys
import threading
import time
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import writers as load  # noqa: E402

from support import plain_user  # noqa: E402
from support.private_cluster import OWNER, PrivateClusters, scratch_folder  # noqa: E402
from support.waiting import wait_until  # noqa: E402
from support.scratch_server import ROOT  # noqa: E402
from support.zorya_up import Up  # noqa: E402

REQUESTS = int(os.environ.get("ZORYA_CRASH_REQUESTS", "10000"))
ROUNDS = int(os.environ.get("ZORYA_CRASH_ROUNDS", "1"))
CLIENTS = 4
EXAMPLE = os.environ.get("ZORYA_CRASH_EXAMPLE", "todos-cpp")


class Clients:
    """Threads that create, change and delete todos of unique titles, and remember what was acknowledged."""

    def __init__(self, up, count):
        self.up = up
        self.lock = threading.Lock()
        self.sent = 0
        self.failed = 0
        self.created = {}     # id: title, acknowledged with 201
        self.done = set()     # ids whose change was acknowledged
        self.deleted = set()  # ids whose deletion was acknowledged
        self.unsure = set()   # ids whose deletion was sent and not answered
        self.errors = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(count)]

    def call(self, connection, method, path, body=None):
        """Status and JSON, or nothing if the answer was lost or was a server's failure."""
        with self.lock:
            self.sent += 1
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return None
        if response.status in (429, 500, 502, 503, 504):
            return None
        if response.status not in (200, 201, 204):
            raise AssertionError(f"{method} {path}: {response.status} {text[:300]!r}")
        return json.loads(text) if text else {}

    def run(self, n):
        try:
            url = urllib.parse.urlsplit(self.up.ready["api_url"])
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=35)
            number = 0
            while not self.stopping.is_set():
                number += 1
                title = f"client {n} todo {number}"
                todo = self.call(connection, "POST", "/todos", {"title": title})
                if todo is None:
                    self.failed += 1
                    time.sleep(0.05)
                    continue
                assert todo["title"] == title
                with self.lock:
                    self.created[todo["id"]] = title
                if number % 3 == 0 and self.call(connection, "PUT", f"/todos/{todo['id']}", {"done": True}) is not None:
                    with self.lock:
                        self.done.add(todo["id"])
                if number % 5 == 0:
                    answer = self.call(connection, "DELETE", f"/todos/{todo['id']}")
                    with self.lock:
                        (self.unsure if answer is None else self.deleted).add(todo["id"])
        except BaseException as error:  # noqa: BLE001: whatever it is, the test must hear of it
            self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=60)

    def wait_for(self, sent, more_created, timeout=180):
        """Until `sent` requests were sent in all, and since now `more_created` todos were acknowledged."""
        before = len(self.created)

        def reached():
            assert not self.errors, self.errors[0]
            return self.sent >= sent and len(self.created) - before >= more_created
        wait_until(reached, timeout=timeout, what=f"{sent} requests, {more_created} more todos ({self.sent}, "
                                                  f"{len(self.created) - before} so far)")


@pytest.fixture(params=["as ourselves", pytest.param("as a plain user", marks=plain_user.needs_root)])
def up(request):
    folder = scratch_folder()
    try:
        if request.param == "as a plain user":
            home = plain_user.own_folder(folder / "home")
            build = plain_user.copy_build(folder / "program", "zorya", "zorya_cluster_tool")
            up = Up(home, plain_user.copy_example(folder, EXAMPLE), "--nearest-runtime",
                    prefix=plain_user.as_plain_user(home=home), build=build)
        else:
            up = Up(folder, ROOT / "examples" / EXAMPLE, "--nearest-runtime")
        with up as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def kill_zorya(up):
    up.kill()
    up.start()


def kill_environment(up):
    os.kill(max(wait_until(up.environments, timeout=30, what="an environment")), signal.SIGKILL)


def test_nothing_acknowledged_is_lost(up):
    requests = REQUESTS // 4 if up.prefix else REQUESTS
    kills = [kill_environment, Up.kill_backend, Up.kill_postmaster, kill_zorya] * ROUNDS
    with Clients(up, CLIENTS) as clients:
        clients.wait_for(0, 20)
        for number, kill in enumerate(kills, 1):
            clients.wait_for(requests * number // (len(kills) + 1), 5)
            kill(up)
        clients.wait_for(requests, 20)
    assert not clients.errors, clients.errors[0]
    cluster = up.cluster
    up.stop()
    with PrivateClusters(up.data, cluster, owner_door=True, prefix=up.prefix, build=up.build) as clusters:
        owner = clusters.connect(OWNER)
        rows = owner.execute("SELECT id::text, title, done FROM public.todos").fetchall()
        check_rows(rows, clients)
        assert load.check_indexes(owner) >= 2
    print(f"{clients.sent} requests, {len(clients.created)} todos acknowledged, {clients.failed} not answered")


def check_rows(rows, clients):
    there = {todo_id: (title, done) for todo_id, title, done in rows}
    titles = [title for _, title, _ in rows]
    assert len(titles) == len(set(titles)), "a todo is there twice"
    for todo_id, title in clients.created.items():
        if todo_id in clients.deleted:
            assert todo_id not in there, f"{title} was deleted"
        elif todo_id not in clients.unsure:
            assert todo_id in there, f"{title} was acknowledged and is not there"
            assert there[todo_id][0] == title
            assert there[todo_id][1] or todo_id not in clients.done, f"{title}: the change was acknowledged"
