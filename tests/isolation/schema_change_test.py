"""Every kind of schema change against every kind of statement, in three orders, through the session router: the schema change
passes, at once; who must be told OC001 by the table of docs/isolation.md is told, and nobody else; a repetition passes; and
no wait for a lock lasts longer than its bound.

The short form lets the orders take turns; ZORYA_TEST_LONG=1 runs them all.
"""
import itertools
import os

import psycopg
import pytest

from isolation.pairs_test import table_of
from isolation.sessions import LATENESS_MS, SETTINGS, WAIT_MS_MAX, Answer, Waits, ask
from support.router import RunningRouter
from support.scratch_server import ScratchServer
from support.stopwatch import Stopwatch

STATEMENTS = {
    "SELECT": "select v from {t} where id = 1",
    "INSERT": "insert into {t}(id, v) values (50, 1)",
    "UPDATE": "update {t} set v = v + 1 where id = 1",
    "DELETE": "delete from {t} where id = 2",
    "FOR UPDATE": "select id from {t} where id = 1 for update",
    "FOR KEY SHARE": "select id from {t} where id = 1 for key share",
    "upsert": "insert into {t}(id, v) values (1, 1) on conflict (id) do update set v = 9",
    "INSERT of a child": "insert into {t}_kid values (50, 1)",
    "COPY FROM": "copy {t}(id, v) from stdin",
    "COPY TO": "copy {t}(id, v) to stdout",
    "function": "select {t}_f(1)",
}
CHANGES = {
    "ADD COLUMN": "alter table {t} add column x int",
    "DROP COLUMN": "alter table {t} drop column w",
    "SET DEFAULT": "alter table {t} alter column w set default 5",
    "ADD CHECK": "alter table {t} add constraint c check (v > -1) not valid",
    "CREATE INDEX": "create index /*a*/ {t}_v on {t}(v)",
    "CREATE UNIQUE INDEX": "create unique index /*a*/ {t}_u on {t}(id, v)",
    "DROP INDEX": "drop index {t}_w",
    "RENAME COLUMN": "alter table {t} rename column w to ww",
    "RENAME TABLE": "alter table {t} rename to {t}_other",
    "DROP TABLE": "drop table {t} cascade",
    "GRANT": "grant select on {t} to other_role",
    "CREATE VIEW": "create view {t}_view as select id from {t}",
    "CREATE TABLE": "create table {t}_new(id int primary key)",
    "CREATE FUNCTION": "create function {t}_g() returns int language sql as 'select 1'",
}
CLASSES = {"reads": {"SELECT", "FOR UPDATE", "FOR KEY SHARE", "COPY TO"},
           "writes": {"INSERT", "UPDATE", "upsert", "COPY FROM", "function"},
           "deletes": {"DELETE"},
           "writes a child": {"INSERT of a child"}}
GONE = {"RENAME TABLE", "DROP TABLE"}
GONE_STATES = ("42P01", "42883")
ORDERS = ("the statement is open", "the change is open", "the change comes between")


@pytest.fixture(scope="module")
def server():
    with ScratchServer(settings=SETTINGS, roles=("other_role",)) as running:
        yield running
        assert running.connect().execute("select apply_failures from sys.commit_stats()").fetchone() == (0,)


@pytest.fixture(scope="module")
def router(server):
    with RunningRouter(server.folder) as running:
        yield running


@pytest.fixture(scope="module")
def outcomes() -> dict:
    """By change, order and class of the statement: "told" or "both"."""
    out = {}
    for changes, order, *cells in table_of("Schema changes against rows", "schema change"):
        for change in changes.split(" · "):
            assert change in CHANGES and order in ORDERS, (change, order)
            for of_class, cell in zip(CLASSES, cells, strict=True):
                assert cell in ("told", "both")
                assert out.setdefault((change, order, of_class), cell) == cell
    assert len(out) == len(CHANGES) * len(ORDERS) * len(CLASSES)
    return out


def say(session, sql):
    if not sql.startswith("copy"):
        return ask(session, sql)
    stopwatch = Stopwatch(session)
    state = text = None
    try:
        with session.cursor().copy(sql) as copy:
            if "from stdin" in sql:
                copy.write("60\t1\n")
            else:
                list(copy)
    except psycopg.Error as error:
        state, text = error.sqlstate, str(error)
    return Answer(state, text, None, stopwatch)


class Duel:
    """A says the statement, B changes the schema."""

    numbers = itertools.count(1)

    def __init__(self, server, router, token, statement, change):
        self.t = f"s{next(self.numbers)}"
        self.a, self.b = router.connect(password=token), router.connect(password=token)
        for sql in (f"create table {self.t}(id int primary key, v int, w int)",
                    f"create table {self.t}_kid(id int primary key, p int references {self.t})",
                    f"create index /*a*/ {self.t}_w on {self.t}(w)",
                    f"create function {self.t}_f(i int) returns int language sql as"
                    f" 'update {self.t} set v = v + 1 where id = i returning v'",
                    f"insert into {self.t} select g, 0, g from generate_series(1, 9) g"):
            self.b.execute(sql)
        self.statement = STATEMENTS[statement].format(t=self.t)
        self.change = CHANGES[change].format(t=self.t)
        self.gone = GONE_STATES if change in GONE and statement != "INSERT of a child" else ()
        self.waits = Waits(server)
        self.story = f"{statement} against {change}"

    def step(self, session, sql, allowed=()) -> bool:
        """True if it was told OC001."""
        answer = say(session, sql)
        waited = self.waits.take()
        assert waited <= WAIT_MS_MAX + LATENESS_MS + answer.kept_ms, f"{self.story}: {sql}: waited {waited:.1f} ms for a lock"
        told = answer.state == "40001" and "(OC001)" in answer.text
        assert answer.state is None or told or answer.state in allowed, f"{self.story}: {sql}: {answer}"
        return told

    def pass_(self, session, sql) -> None:
        assert not self.step(session, sql), f"{self.story}: {sql} was told OC001"

    def end(self) -> bool:
        """A's COMMIT, or ROLLBACK of what failed."""
        if self.a.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
            return self.step(self.a, "commit")
        self.a.execute("rollback")
        return False

    def play(self, order) -> bool:
        """True if A was told; B never is."""
        if order == "the statement is open":
            self.a.execute("begin")
            self.pass_(self.a, self.statement)
            self.pass_(self.b, self.change)
            return self.end()
        if order == "the change is open":
            self.b.execute("begin")
            self.pass_(self.b, self.change)
            told = self.step(self.a, self.statement)
            self.pass_(self.b, "commit")
            return told
        self.a.execute("begin")
        self.a.execute("select count(*) from pg_class where oid = 1")
        self.pass_(self.b, self.change)
        told = self.step(self.a, self.statement)
        return self.end() or told

    def repeat(self) -> None:
        """OC001 may come once more, for what changed since; then it passes, or finds the table gone."""
        sql = self.statement
        if "50" in sql or "stdin" in sql:
            delete = f"delete from {self.t}{'_kid' if '_kid' in sql else ''} where id in (50, 60)"
            self.step(self.a, delete, self.gone) and self.step(self.a, delete, self.gone)
        self.step(self.a, sql, self.gone) and self.step(self.a, sql, self.gone)


@pytest.mark.parametrize("change", CHANGES)
def test_schema_change(server, router, outcomes, change):
    turn, token = list(CHANGES).index(change), router.token()
    for number, statement in enumerate(STATEMENTS):
        of_class = next(name for name, members in CLASSES.items() if statement in members)
        for order in ORDERS if os.environ.get("ZORYA_TEST_LONG") else [ORDERS[(number + turn) % 3]]:
            duel = Duel(server, router, token, statement, change)
            duel.story += f", {order}"
            told = duel.play(order)
            assert told == (outcomes[change, order, of_class] == "told"), f"{duel.story}: told: {told}"
            duel.repeat()
            duel.a.close()
            duel.b.close()
