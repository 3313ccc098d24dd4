"""Every kind of schema change against every kind of statement, in three orders: neither waits longer than the bound, each
passes or is told OC001, a repetition passes, and nothing else is ever said.

The short form lets the orders take turns; ZORYA_TEST_LONG=1 runs them all.
"""
import itertools
import os

import psycopg
import pytest

from isolation.sessions import SETTINGS, Answer, Waits, ask, check_wait
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
GONE = {"RENAME TABLE", "DROP TABLE"}
GONE_STATES = ("42P01", "42883")
# The router says OC001 for the bound of a wait; here nobody does.
REFUSED = ("40001", "55P03")
ORDERS = ("the statement is open", "the change is open", "the change comes between")


@pytest.fixture(scope="module")
def server():
    with ScratchServer(settings=SETTINGS, roles=("other_role",)) as running:
        yield running
        assert running.connect().execute("select apply_failures from sys.commit_stats()").fetchone() == (0,)


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

    def __init__(self, server, statement, change):
        self.t = f"s{next(self.numbers)}"
        self.a, self.b = server.connect("admin"), server.connect("admin")
        for sql in (f"create table {self.t}(id int primary key, v int, w int)",
                    f"create table {self.t}_kid(id int primary key, p int references {self.t})",
                    f"create index /*a*/ {self.t}_w on {self.t}(w)",
                    f"create function {self.t}_f(i int) returns int language sql as"
                    f" 'update {self.t} set v = v + 1 where id = i returning v'",
                    f"insert into {self.t} select g, 0, g from generate_series(1, 9) g"):
            # Another test's change may have made this session's catalogue old: the first retry passes.
            if ask(self.b, sql).state:
                self.b.execute(sql)
        self.statement = STATEMENTS[statement].format(t=self.t)
        self.change = CHANGES[change].format(t=self.t)
        self.gone = GONE_STATES if change in GONE else ()
        self.waits = Waits(server)
        self.story = f"{statement} against {change}"

    def step(self, session, sql, allowed):
        answer = say(session, sql)
        check_wait(answer, self.waits, f"{self.story}: {sql}")
        assert answer.state is None or answer.state in allowed, f"{self.story}: {sql}: {answer}"
        if answer.state == "40001":
            assert "(OC001)" in answer.text, f"{self.story}: {sql}: {answer}"
        return answer.state is None

    def end(self, session):
        """COMMIT, or ROLLBACK of what failed."""
        if session.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
            session.execute("rollback")
        else:
            self.step(session, "commit", ("40001",))

    def repeat(self, session, sql, also=()):
        """OC001 may come once more for a catalogue that was old; then it passes."""
        self.step(session, sql, REFUSED + also) or self.step(session, sql, also)

    def play(self, order):
        changed = False
        if order == "the statement is open":
            self.a.execute("begin")
            self.step(self.a, self.statement, ())
            changed = self.step(self.b, self.change, REFUSED)
            self.end(self.a)
        elif order == "the change is open":
            self.b.execute("begin")
            changed = self.step(self.b, self.change, REFUSED)
            self.step(self.a, self.statement, REFUSED + self.gone)
            changed = changed and self.step(self.b, "commit", ("40001",))
            if not changed:
                self.b.execute("rollback")
        else:
            self.a.execute("begin")
            self.a.execute("select count(*) from pg_class where oid = 1")
            changed = self.step(self.b, self.change, REFUSED)
            self.step(self.a, self.statement, REFUSED + self.gone)
            self.end(self.a)
        if not changed:
            self.repeat(self.b, self.change)
        if "50" in self.statement or "stdin" in self.statement:
            self.repeat(self.a, f"delete from {self.t}{'_kid' if '_kid' in self.statement else ''} where id in (50, 60)",
                        self.gone)
        self.repeat(self.a, self.statement, self.gone)
        self.a.close()
        self.b.close()


@pytest.mark.parametrize("change", CHANGES)
def test_schema_change(server, change):
    turn = list(CHANGES).index(change)
    for number, statement in enumerate(STATEMENTS):
        orders = ORDERS if os.environ.get("ZORYA_TEST_LONG") else [ORDERS[(number + turn) % 3]]
        for order in orders:
            duel = Duel(server, statement, change)
            duel.story += f", {order}"
            duel.play(order)
