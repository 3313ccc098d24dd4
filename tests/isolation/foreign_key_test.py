"""Foreign keys: every interleaving of a child's and a parent's transaction, made by program, for every action, deferrable or
not, several kinds of keys. What each must answer is derived from who could see whom; no interleaving leaves an orphan.

The short form lets the kinds of keys and of deferral take turns; ZORYA_TEST_LONG=1 runs their full product.
"""
import itertools
import os

import pytest

from isolation.sessions import SETTINGS, Waits, ask, check_wait, interleavings
from support.scratch_server import ScratchServer

ACTIONS = ("no action", "restrict", "cascade", "set null", "set default")
# name: (clause, what the transactions say first, whether a check waits for COMMIT)
DEFERRALS = {
    "immediate": ("", None, False),
    "deferred": ("deferrable initially deferred", None, True),
    "set deferred": ("deferrable", "set constraints all deferred", True),
    "set immediate": ("deferrable initially deferred", "set constraints all immediate", False),
}

# name: (columns of the parent beside v, the referred columns, the child's columns, their values for row {i})
KEYS = {
    "primary key": ("id int primary key", "id", "p", "{i}"),
    "another unique column": ("id int primary key, u int unique", "u", "p", "{i}"),
    "a unique column and no primary key": ("id int, u int unique", "u", "p", "{i}"),
    "two columns": ("id int, w int, primary key (id, w)", "id, w", "p, q", "{i}, {i}"),
    "two columns, match full": ("id int, w int, primary key (id, w)", "id, w", "p, q", "{i}, {i}"),
    "the table itself": ("id int primary key, p int default 0", "id", "p", "{i}"),
}
CHILD_IDS = 700_000  # apart from the parents', which may be in the same table
FOUND_LATE, FOUND = "23503 at COMMIT", "23503"


@pytest.fixture(scope="module")
def server():
    with ScratchServer(settings=SETTINGS | {"zorya.gate": "off"}) as running:
        yield running
        assert running.connect().execute("select apply_failures from sys.commit_stats()").fetchone() == (0,)


class Family:
    """One pair of tables and the two sessions."""

    def __init__(self, server, name, key, action, deferral):
        parent_columns, self.referred, self.referring, self.values = KEYS[key]
        clause, self.first, self.deferred = DEFERRALS[deferral]
        self.action = action
        self.key_column = self.referred.split(", ")[0]
        self.parent = self.child = f"{name}_p"
        self.d = server.connect("admin")
        match = "match full" if "match full" in key else ""
        reference = (f"foreign key ({self.referring}) references {self.parent}({self.referred}) {match} on delete {action}"
                     f" on update {action} {clause}")
        if key == "the table itself":
            self.d.execute(f"create table {self.parent}({parent_columns}, v int default 0, {reference})")
        else:
            self.child = f"{name}_c"
            columns = ", ".join(f"{column} int default 0" for column in self.referring.split(", "))
            self.d.execute(f"create table {self.parent}({parent_columns}, v int default 0)")
            self.d.execute(f"create table {self.child}(id int primary key, {columns}, v int default 0, {reference})")
        self.d.execute(f"create index on {self.child}({self.referring})")
        self.sessions = {"A": server.connect("admin"), "B": server.connect("admin")}
        self.waits = Waits(server)
        self.number = 0
        self.add_parent(0)

    def add_parent(self, i):
        columns = KEYS_COLUMNS[self.referred]
        self.d.execute(f"insert into {self.parent}({columns}) values ({', '.join([str(i)] * len(columns.split(', ')))})")

    def close(self):
        for session in (self.d, *self.sessions.values()):
            session.close()

    def say(self, session, sql, story):
        answer = ask(session, sql)
        check_wait(answer, self.waits, f"{story}: {sql}", 0)
        return answer

    def play(self, order, child_sql, parent_sql, story):
        """Runs one interleaving; returns each side's outcome: "ok", or the SQLSTATE and where."""
        sql = {"A": child_sql, "B": parent_sql}
        outcome = {"A": "ok", "B": "ok"}
        for side, step in order:
            session = self.sessions[side]
            if step == "begin":
                session.execute("begin")
                session.execute("select 1 from pg_class where oid = 1")
                if self.first:
                    session.execute(self.first)
            elif step == "do":
                answer = self.say(session, sql[side], story)
                if answer.state:
                    outcome[side] = answer.state
            elif outcome[side] == "ok":
                answer = self.say(session, "commit", story)
                if answer.state == "40001":
                    assert "(OC000)" in answer.text, f"{story}: {answer}"
                if answer.state:
                    outcome[side] = answer.state + " at COMMIT"
            else:
                session.execute("rollback")
        orphans = self.d.execute(
            f"select count(*) from {self.child} c where {self.referring.split(', ')[0]} is not null and not exists (select 1 from"
            f" {self.parent} p where ({self.referred.replace('id', 'p.id')}) = ({self.referring.replace('p', 'c.p').replace('q', 'c.q')}))"
        ).fetchone()
        assert orphans == (0,), f"{story}: {orphans[0]} orphans"
        return outcome


KEYS_COLUMNS = {"id": "id", "u": "id, u", "id, w": "id, w"}
STEPS = ["begin", "do", "commit"]


def position(order, side, step):
    return order.index((side, step))


def relation_of(order):
    """Who could see whom."""
    if position(order, "A", "commit") < position(order, "B", "begin"):
        return "child first"
    if position(order, "B", "commit") < position(order, "A", "begin"):
        return "parent first"
    return "concurrent"


def loser(order):
    return "A" if position(order, "B", "commit") < position(order, "A", "commit") else "B"


def expected(order, family, child_write, parent_write):
    """The outcomes of the child's (A) and the parent's side (B)."""
    relation = relation_of(order)
    stays = family.action in ("no action", "restrict")
    # RESTRICT is never deferred, the check of a child is.
    refusal_b = FOUND_LATE if family.deferred and family.action == "no action" else FOUND
    refusal_a = FOUND_LATE if family.deferred else FOUND
    if parent_write == "update another column":
        return "ok", "ok"
    if child_write == "delete":
        if relation == "child first":
            return "ok", "ok"
        if stays:
            return "ok", refusal_b  # it sees the child, whatever becomes of it
    elif child_write == "update another column":
        if stays:
            return "ok", refusal_b
    elif relation == "child first" and stays:
        return "ok", refusal_b
    elif relation == "parent first":
        return refusal_a, "ok"
    if relation != "concurrent":
        return "ok", "ok"
    return ("40001 at COMMIT", "ok") if loser(order) == "A" else ("ok", "40001 at COMMIT")


def child_writes(family, i):
    """name: (what is there before, the write)"""
    values, table, columns, child = family.values.format(i=i), family.child, family.referring, CHILD_IDS + i
    zero = ", ".join(["0"] * len(columns.split(", ")))
    return {
        "insert": (None, f"insert into {table}(id, {columns}) values ({child}, {values})"),
        "update to the parent": (f"insert into {table}(id, {columns}) values ({child}, {zero})",
                                 f"update {table} set ({columns}) = row({values}) where id = {child}"),
        "update another column": (f"insert into {table}(id, {columns}) values ({child}, {values})",
                                  f"update {table} set v = v + 1 where id = {child}"),
        "delete": (f"insert into {table}(id, {columns}) values ({child}, {values})", f"delete from {table} where id = {child}"),
    }


def parent_writes(family, i):
    row = f"{family.key_column} = {i}"
    return {
        "delete": f"delete from {family.parent} where {row}",
        "update of the key": f"update {family.parent} set {family.key_column} = {i + 500_000} where {row}",
        "update another column": f"update {family.parent} set v = v + 1 where {row}",
    }


def combinations():
    everything = list(itertools.product(KEYS, ACTIONS, DEFERRALS))
    if os.environ.get("ZORYA_TEST_LONG"):
        return everything
    keys, deferrals = list(KEYS), list(DEFERRALS)
    return [(keys[(2 * n + turn) % len(keys)], action, deferrals[(n + turn) % len(deferrals)])
            for n, action in enumerate(ACTIONS) for turn in range(2)]


@pytest.mark.parametrize("key,action,deferral", combinations())
def test_interleavings(server, request, key, action, deferral):
    family = Family(server, f"f{len(request.node.name)}_{abs(hash(request.node.name)) % 10**8}", key, action, deferral)
    for child_write, parent_write in itertools.product(child_writes(family, 1), parent_writes(family, 1)):
        for order in interleavings(STEPS, STEPS):
            family.number += 1
            i = family.number
            before, child_sql = child_writes(family, i)[child_write]
            family.add_parent(i)
            if before:
                family.d.execute(before)
            story = f"{key}, {action} {deferral}: {child_write} against {parent_write}: {' '.join('.'.join(s) for s in order)}"
            outcome = family.play(order, child_sql, parent_writes(family, i)[parent_write], story)
            wanted = expected(order, family, child_write, parent_write)
            assert (outcome["A"], outcome["B"]) == wanted, f"{story}: {outcome}, not {wanted}"
    family.close()


@pytest.mark.parametrize("write", ["delete from late_p where id = 1", "update late_p set id = 9 where id = 1", "delete from late_g",
                                   "update late_p set v = 5 where id = 1; delete from late_p where id = 1",
                                   "delete from late_p where id = 1; insert into late_p values (1, 0)"])
def test_a_foreign_key_newer_than_the_snapshot_binds_too(server, write):
    """A child that was made before its foreign key left no mark, and the parent's transaction may not see it."""
    admin, parent = server.connect("admin"), server.connect("admin")
    for sql in ("drop table if exists late_c, late_p, late_g", "create table late_g(id int primary key)",
                "create table late_p(id int primary key references late_g on delete cascade on update cascade, v int default 0)",
                "create index on late_p(v)", "create table late_c(id int primary key, p int)",
                "insert into late_g values (1), (9)", "insert into late_p values (1)"):
        admin.execute(sql)
    parent.execute("begin")
    parent.execute("select count(*) from pg_class")
    admin.execute("insert into late_c values (1, 1)")
    admin.execute("alter table late_c add constraint late foreign key (p) references late_p not valid")
    admin.execute("alter table late_c validate constraint late")
    parent.execute("select 1")  # the session looks at the catalogue, and uses nothing that changed
    parent.execute("update late_p set v = v where id = 1")  # not what a foreign key minds
    for statement in write.split("; "):
        answer = ask(parent, statement)
    assert answer.state in ("40001", "25P02"), answer
    parent.execute("rollback")
    answer = ask(parent, write.split("; ")[0])  # it sees the child now
    assert answer.state in (None, "23503"), answer
    assert admin.execute("select count(*) from late_c where p not in (select id from late_p)").fetchone() == (0,)
    for session in (admin, parent):
        session.close()
