"""The two-transaction tables of docs/isolation.md, run: every pair of statements, both orders of the statements, both
orders of the COMMITs. A row of the tables that is not true fails here, and so does a kind of statement that one of them lacks.
"""
import itertools
import pathlib

import pytest

from isolation.sessions import SETTINGS, Waits, ask, check_wait, interleavings
from support.scratch_server import ScratchServer

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "isolation.md"
LOST = ("40001", "(OC000)")


def table_of(heading: str, first_cell: str) -> list[list[str]]:
    """The rows below the head of the table that begins with `first_cell`, under that heading."""
    section = DOCUMENT.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = iter(section.splitlines())
    for line in lines:
        if line.startswith(f"| {first_cell} |"):
            next(lines)
            return [[cell.strip() for cell in row.strip("|").split("|")]
                    for row in itertools.takewhile(lambda row: row.startswith("|"), lines)]
    raise AssertionError(f"{DOCUMENT.name} has no table {first_cell!r} under {heading!r}")


# ---------------------------------------------------------------- two transactions on one row

ROW_SETUP = """
create table p(id int primary key, u int unique, plain int default 0, other int default 0, ind int default 0, part int, expr int default 0);
create index p_ind on p(ind);
create unique index p_part on p(part) where part > 0;
create unique index p_expr on p((expr + 0 * id), id);
create table kid(id int primary key, p int references p)"""

# {i} is the row, {n} a number that nobody else uses, {k} a child that is there already.
KINDS = {
    "DELETE": ["delete from p where id = {i}"],
    "INSERT of a key that was freed": ["delete from p where id = {i}", "insert into p(id, u) values ({i}, {n})"],
    "UPDATE of the primary key": ["update p set id = {n} where id = {i}"],
    "UPDATE of a unique column": ["update p set u = {n} where id = {i}"],
    "UPDATE of an indexed column, then of the key": ["update p set ind = {n} where id = {i}", "update p set id = {n} where id = {i}"],
    "UPDATE of an indexed column, then DELETE": ["update p set ind = {n} where id = {i}", "delete from p where id = {i}"],
    "SELECT FOR UPDATE": ["select id from p where id = {i} for update"],
    "UPDATE of a plain column": ["update p set plain = {n} where id = {i}"],
    "UPDATE of an indexed column": ["update p set ind = {n} where id = {i}"],
    "UPDATE of an indexed column, twice": ["update p set ind = 7 where id = {i}", "update p set ind = {n}, plain = 1 where id = {i}"],
    "UPDATE of a column of a partial unique index": ["update p set part = {n} where id = {i}"],
    "UPDATE of a column of an expression's unique index": ["update p set expr = {n} where id = {i}"],
    "INSERT ON CONFLICT DO UPDATE": ["insert into p(id, u) values ({i}, {n}) on conflict (id) do update set other = {n}"],
    "SELECT FOR NO KEY UPDATE": ["select id from p where id = {i} for no key update"],
    "SELECT FOR SHARE": ["select id from p where id = {i} for share"],
    "SELECT FOR KEY SHARE": ["select id from p where id = {i} for key share"],
    "INSERT of a child": ["insert into kid values ({n}, {i})"],
    "UPDATE of a child to this parent": ["update kid set p = {i} where id = {k}"],
}

# What a kind that may commit beside another leaves behind: one row.
EFFECTS = {
    "UPDATE of a plain column": "p where id = {i} and plain = {n}",
    "UPDATE of an indexed column": "p where id = {i} and ind = {n}",
    "UPDATE of an indexed column, twice": "p where id = {i} and ind = {n} and plain = 1",
    "UPDATE of a column of a partial unique index": "p where id = {i} and part = {n}",
    "UPDATE of a column of an expression's unique index": "p where id = {i} and expr = {n}",
    "INSERT ON CONFLICT DO UPDATE": "p where id = {i} and other = {n}",
    "INSERT of a child": "kid where id = {n} and p = {i}",
    "UPDATE of a child to this parent": "kid where id = {k} and p = {i}",
}


def documented_classes() -> dict[str, str]:
    return {kind.strip(): name for name, kinds in table_of("Two transactions on one row", "class") for kind in kinds.split("·")}


def documented_outcomes() -> dict[tuple[str, str], str]:
    rows = table_of("Two transactions on one row", "one \\ other")
    names = [row[0] for row in rows]
    return {(row[0], name): cell for row in rows for name, cell in zip(names, row[1:])}


class World:
    def __init__(self):
        self.server = ScratchServer(settings=SETTINGS | {"zorya.gate": "off"}).__enter__()
        self.a, self.b, self.d = (self.server.connect("admin") for _ in range(3))
        self.waits = Waits(self.server)
        self.number = 0

    def fresh(self) -> int:
        self.number += 1
        return self.number

    def say(self, session, sql, where):
        answer = ask(session, sql)
        check_wait(answer, self.waits, where, 0)
        return answer

    def run(self, statements_a, statements_b, conflict, name, effects=(None, None)):
        """Both take their snapshots first; then all orders of statements and COMMITs. `effects` are looked for if both
        commit."""
        for order in interleavings(["do", "commit"], ["do", "commit"]):
            plans = {"A": (self.a, statements_a), "B": (self.b, statements_b)}
            numbers = self.numbers()
            story = f"{name}, {' '.join(side + '.' + step for side, step in order)}"
            for session, _ in plans.values():
                session.execute("begin")
                session.execute("select count(*) from pg_class where oid = 1")
            committed = []
            for side, step in order:
                session, statements = plans[side]
                if step == "do":
                    for sql in statements:
                        answer = self.say(session, sql.format(**numbers[side]), story)
                        assert answer.state is None, f"{story}: {sql}: {answer}"
                    continue
                answer = self.say(session, "commit", story)
                if conflict and committed:
                    assert answer.state == LOST[0] and LOST[1] in answer.text, f"{story}: the second COMMIT: {answer}"
                else:
                    assert answer.state is None, f"{story}: COMMIT: {answer}"
                    committed.append(side)
            for side, effect in zip("AB", effects):
                if effect and len(committed) == 2:
                    found = self.d.execute(f"select count(*) from {effect.format(**numbers[side])}").fetchone()
                    assert found == (1,), f"{story}: the effect of {side} is not there"

    def numbers(self):
        i = self.fresh()
        sides = {}
        for side in "AB":
            sides[side] = {"i": i, "n": 100_000 + self.fresh(), "k": 200_000 + self.fresh()}
        return sides


class RowWorld(World):
    """Each round has its own row, and a child for each side that refers to another parent."""

    def numbers(self):
        sides = super().numbers()
        i = sides["A"]["i"]
        self.d.execute(f"insert into p(id, u) values ({i}, {i}), ({-i}, {-i}); insert into kid values"
                       f" ({sides['A']['k']}, {-i}), ({sides['B']['k']}, {-i})")
        return sides


@pytest.fixture(scope="module")
def rows():
    world = RowWorld()
    world.d.execute(ROW_SETUP)
    yield world
    assert world.server.connect().execute("select apply_failures from sys.commit_stats()").fetchone() == (0,)
    world.server.__exit__(None, None, None)


def test_the_document_and_the_program_know_the_same_kinds():
    assert sorted(documented_classes()) == sorted(KINDS)


@pytest.mark.parametrize("one", KINDS)
def test_pairs(rows, one):
    classes, outcomes = documented_classes(), documented_outcomes()
    for other in list(KINDS)[list(KINDS).index(one):]:
        outcome = outcomes[classes[one], classes[other]]
        assert outcome == outcomes[classes[other], classes[one]], "the table is symmetric"
        rows.run(KINDS[one], KINDS[other], outcome == "conflict", f"{one} against {other}",
                 (EFFECTS.get(one), EFFECTS.get(other)))


# ---------------------------------------------------------------- two transactions that make one entry

ENTRY_SETUP = """
create table pk(id int primary key, v int);
create table pk2(a int, b int, primary key (a, b));
create table un(id int primary key, u int unique, ud int, unique nulls not distinct (ud, id));
create table nn(id int primary key, u int, unique nulls not distinct (u));
create table pa(id int primary key, x int, y int);
create unique index on pa(x) where y > 0;
create table ex(id int primary key, t text);
create unique index on ex(lower(t));
create table nu(id int primary key, n numeric unique, c char(8) unique, f double precision unique);
create table pl(id int primary key, x int);
create index on pl(x)"""

# {v} is common to both sides, {n} is not; {w} exists before for UPDATE.
ENTRIES = {
    ("primary key", "INSERT"): ["insert into pk values ({v}, 1)"] * 2,
    ("primary key", "UPDATE to it"): ["update pk set id = {v} where id = {w}"] * 2,
    ("primary key", "INSERT ON CONFLICT DO NOTHING"): ["insert into pk values ({v}, 1) on conflict do nothing"] * 2,
    ("primary key", "INSERT ON CONFLICT DO UPDATE"): ["insert into pk values ({v}, 1) on conflict (id) do update set v = 2"] * 2,
    ("primary key of two columns", "INSERT"): ["insert into pk2 values ({v}, 5)"] * 2,
    ("unique column", "INSERT"): ["insert into un(id, u) values ({n}, {v})"] * 2,
    ("unique column", "UPDATE to it"): ["update un set u = {v} where id = {w}"] * 2,
    ("unique column, one of them null", "INSERT"): ["insert into un(id, u) values ({n}, {v})", "insert into un(id, u) values ({n}, null)"],
    ("unique column, nulls not distinct", "INSERT of null"): ["insert into nn values ({n}, null)"] * 2,
    ("partial unique index", "INSERT"): ["insert into pa values ({n}, {v}, 1)"] * 2,
    ("partial unique index", "UPDATE into the predicate"): ["update pa set x = {v}, y = 1 where id = {w}"] * 2,
    ("partial unique index, outside its predicate", "INSERT"): ["insert into pa values ({n}, {v}, 1)", "insert into pa values ({n}, {v}, 0)"],
    ("unique index on an expression", "INSERT"): ["insert into ex values ({n}, 'Key{v}')", "insert into ex values ({n}, 'kEY{v}')"],
    ("unique index on numeric, 1.0 and 1.00", "INSERT"): ["insert into nu(id, n) values ({n}, {v}.0)", "insert into nu(id, n) values ({n}, {v}.000)"],
    ("unique index on char(8), with and without padding", "INSERT"): ["insert into nu(id, c) values ({n}, 'c{v}')",
                                                                      "insert into nu(id, c) values ({n}, 'c{v}  ')"],
    ("unique index on double precision, 0.0 and -0.0", "INSERT"): ["insert into nu(id, f) values ({n}, '0.0')",
                                                                   "insert into nu(id, f) values ({n}, '-0.0')"],
    ("plain index", "INSERT"): ["insert into pl values ({n}, {v})"] * 2,
}


class EntryWorld(World):
    def numbers(self):
        sides = super().numbers()
        for side in sides.values():
            side["v"], side["w"] = sides["A"]["i"], 300_000 + self.fresh()
            self.d.execute(f"insert into pk values ({side['w']}, 0); insert into un(id) values ({side['w']});"
                           f" insert into pa values ({side['w']}, {side['w']}, 0)")
        self.d.execute("delete from nn; delete from nu where f is not null")
        return sides


@pytest.fixture(scope="module")
def entries():
    world = EntryWorld()
    world.d.execute(ENTRY_SETUP)
    yield world
    assert world.server.connect().execute("select apply_failures from sys.commit_stats()").fetchone() == (0,)
    world.server.__exit__(None, None, None)


DOCUMENTED_ENTRIES = {(index, write): outcome for index, write, outcome in
                      table_of("Two transactions that make one entry of a unique index", "index")}


def test_the_document_and_the_program_know_the_same_entries():
    assert sorted(DOCUMENTED_ENTRIES) == sorted(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=", ".join)
def test_entries(entries, entry):
    a, b = ENTRIES[entry]
    entries.run([a], [b], DOCUMENTED_ENTRIES[entry] == "conflict", ", ".join(entry))


def test_the_anomalies_of_the_document_are_the_scripts_of_the_spec():
    spec = (pathlib.Path(__file__).parent / "specs" / "hermitage.spec").read_text()
    tests = [block.splitlines() for block in spec.split("\ntest ")[1:]]
    documented = {name: (int(sessions), outcome) for name, sessions, outcome in table_of("Anomalies", "anomaly")}
    assert [lines[0] for lines in tests] == list(documented)
    for name, *steps in tests:
        assert len({step[0] for step in steps if step[:2] in ("A ", "B ", "C ")}) == documented[name][0], name
        refused = any("(OC000)" in step for step in steps)
        assert refused == ("refused" in documented[name][1] or "one of three" in documented[name][1]), name
