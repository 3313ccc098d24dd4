"""Runs specs/*.spec: statements of several sessions in a given order, each with the answer it must get, and none may wait.

A spec file:
    setup                       SQL up to the next blank line, run once before the tests of the file, by D
    gate off                    the file's server lets through what the gate refuses (savepoints, cursors)
    never waits                 no statement of the file waits for a lock at all
    test <name>                 then a line per step: <session> <sql> [=> rows] [!SQLSTATE[|SQLSTATE] [part of the text]]
Sessions A, B, C begin anew in each test; D is autocommit; O is the owner of the server, autocommit. Rows are written
`1,x; 2,y`, in any order; `(none)` for none. A step without an answer must simply succeed.
"""
import contextlib
import os
import pathlib
import re
import subprocess
import sys

import psycopg
import pytest

from isolation.sessions import SETTINGS, WAIT_MS_MAX, Waits, ask, check_wait
from support.scratch_server import ScratchServer

SPECS = pathlib.Path(__file__).parent / "specs"


def parse(path):
    gate, setup, tests, wait_ms_max = "on", [], [], WAIT_MS_MAX
    into = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.split(" -- ")[0].strip()
        if text.startswith("#"):
            continue
        if text == "gate off":
            gate = "off"
        elif text == "never waits":
            wait_ms_max = 0
        elif text == "setup":
            into = setup
        elif text.startswith("test "):
            into = []
            tests.append((text[5:], into))
        elif not text:
            into = None if into is setup else into
        else:
            into.append((number, text))
    return gate, setup, tests, wait_ms_max


ALL = {path.stem: parse(path) for path in sorted(SPECS.glob("*.spec"))}


@pytest.fixture(scope="session")
def servers():
    running = {}

    def server_of(gate):
        if gate not in running:
            running[gate] = ScratchServer(roles=("app",), settings=SETTINGS | {"zorya.gate": gate}).__enter__()
        return running[gate]

    yield server_of
    for server in running.values():
        server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def prepared(servers):
    done = {}

    def prepare(name):
        if name not in done:
            gate, setup, _, _ = ALL[name]
            server = servers(gate)
            session = server.connect("admin")
            schema = "spec_" + name
            session.execute(f"create schema {schema}")
            session.execute(f"set search_path = {schema}")
            for number, sql in setup:
                try:
                    session.execute(sql)
                except psycopg.Error as error:
                    raise AssertionError(f"{name}.spec:{number}: setup: {error}") from error
            done[name] = (server, schema)
        return done[name]

    return prepare


def split_step(text):
    session, sql = text.split(" ", 1)
    state = fragment = rows = None
    match = re.search(r"\s!(\w{5}(?:\|\w{5})*)(?: (.*))?$", sql)
    if match:
        state, fragment, sql = match[1].split("|"), match[2], sql[:match.start()]
    match = re.search(r"\s=> (.*)$", sql)
    if match:
        rows, sql = match[1], sql[:match.start()]
    return session, sql.strip(), rows, state, fragment


def as_text(rows):
    if not rows:
        return ["(none)"]
    return sorted(",".join("null" if value is None else str(value) for value in row) for row in rows)


@pytest.mark.parametrize("name,index", [(name, index) for name, (_, _, tests, _) in ALL.items()
                                        for index in range(len(tests))],
                         ids=[f"{name}: {test[0]}" for name, (_, _, tests, _) in ALL.items() for test in tests])
def test_spec(prepared, name, index):
    server, schema = prepared(name)
    _, steps = ALL[name][2][index]
    wait_ms_max = ALL[name][3]
    sessions, waits = {}, Waits(server)
    try:
        for number, text in steps:
            session, sql, rows, states, fragment = split_step(text)
            where = f"{name}.spec:{number}: {text}"
            if session not in sessions:
                sessions[session] = server.connect() if session == "O" else server.connect("admin")
                sessions[session].execute(f"set search_path = {schema}")
            answer = ask(sessions[session], sql)
            check_wait(answer, waits, where, wait_ms_max)
            if states:
                assert answer.state in states, f"{where}: got {answer}"
                assert not fragment or fragment in answer.text, f"{where}: got {answer}"
            else:
                assert answer.state is None, f"{where}: got {answer}"
            if rows is not None:
                wanted = sorted(part.strip() for part in rows.split(";"))
                assert as_text(answer.rows) == wanted, f"{where}: got {as_text(answer.rows)}"
    finally:
        for connection in sessions.values():
            connection.close()
    # The heap, the second guard, never had to speak.
    with server.connect() as owner:
        assert owner.execute("select apply_failures from sys.commit_stats()").fetchone() == (0,)


@contextlib.contextmanager
def a_busy_machine():
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


@pytest.mark.parametrize("machine", [contextlib.nullcontext, a_busy_machine])
def test_a_wait_of_any_kind_is_found_however_busy_the_machine_is(servers, machine):
    server = servers("on")
    with server.connect("admin") as session, machine():
        waits = Waits(server)
        check_wait(ask(session, "select count(*) from generate_series(1, 10000)"), waits, "work")
        with pytest.raises(AssertionError, match="took"):
            check_wait(ask(session, "select pg_sleep(.3)"), waits, "sleep")
