"""Counts of objects, each at its limit and one above. Sizes as documented, texts as recorded (docs/sql.md)."""
import pathlib
import sys

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.scratch_server import ScratchServer  # noqa: E402


@pytest.fixture(scope="module")
def admin():
    with ScratchServer(settings={"lock_timeout": "50ms"}) as server:
        yield server.connect("admin")


def refusal(connection, statement) -> tuple[str, str]:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement)
    return caught.value.sqlstate, caught.value.diag.message_primary


def test_schemas(admin):
    for number in range(10):
        admin.execute(f"CREATE SCHEMA s{number}")
    assert refusal(admin, "CREATE SCHEMA s10") == ("54000", "more than 10 schemas not allowed")
    admin.execute("CREATE SCHEMA IF NOT EXISTS s9")
    for number in range(10):
        admin.execute(f"DROP SCHEMA s{number}")
    admin.execute("CREATE SCHEMA again")
    admin.execute("DROP SCHEMA again")


def test_tables(admin):
    admin.execute("CREATE SCHEMA many")
    for number in range(1000):
        admin.execute(f"CREATE TABLE many.t{number} (id int)")
    assert refusal(admin, "CREATE TABLE t (id int)") == ("54000", "creating more than 1000 tables not allowed")
    admin.execute("CREATE TABLE IF NOT EXISTS many.t999 (id int)")
    for number in range(0, 1000, 100):
        names = ", ".join(f"many.t{n}" for n in range(number, number + 100))
        admin.execute(f"DROP TABLE {names}")
    admin.execute("DROP SCHEMA many")


def test_columns(admin):
    def table(count):
        return f"CREATE TABLE wide ({', '.join(f'c{n} int' for n in range(count))})"
    assert refusal(admin, table(256)) == ("54011", "tables can have at most 255 columns")
    admin.execute(table(255))
    assert refusal(admin, "ALTER TABLE wide ADD COLUMN more int") == ("54011", "tables can have at most 255 columns")
    admin.execute("ALTER TABLE wide DROP COLUMN c0")
    admin.execute("ALTER TABLE wide ADD COLUMN more int")
    admin.execute("DROP TABLE wide")


def test_indexes(admin):
    admin.execute(f"CREATE TABLE t (id int PRIMARY KEY, {', '.join(f'c{n} int' for n in range(24))})")
    for number in range(23):
        admin.execute(f"CREATE INDEX /*a*/ ON t (c{number})")
    assert refusal(admin, "CREATE INDEX /*a*/ ON t (c23)") == ("54000", "more than 24 indexes per table are not allowed")
    admin.execute("DROP TABLE t")
    keys = ", ".join(f"UNIQUE (c{n})" for n in range(24))
    columns = ", ".join(f"c{n} int" for n in range(24))
    assert refusal(admin, f"CREATE TABLE t (id int PRIMARY KEY, {columns}, {keys})")[1] == \
        "more than 24 indexes per table are not allowed"


def test_key_columns(admin):
    columns = ", ".join(f"c{n} int" for n in range(9))
    nine, eight = (", ".join(f"c{n}" for n in range(count)) for count in (9, 8))
    text = "more than 8 column keys in an index are not supported"
    assert refusal(admin, f"CREATE TABLE t ({columns}, PRIMARY KEY ({nine}))") == ("54011", text)
    admin.execute(f"CREATE TABLE t ({columns}, PRIMARY KEY ({eight}))")
    assert refusal(admin, f"CREATE INDEX /*a*/ ON t ({nine})") == ("54011", text)
    admin.execute("DROP TABLE t")


def test_key_width(admin):
    text = "key size greater than 2000 bytes not supported"
    assert refusal(admin, "CREATE TABLE t (a varchar(2001) PRIMARY KEY)") == ("54000", text)
    assert refusal(admin, "CREATE TABLE t (a varchar(1500), b char(501), PRIMARY KEY (a, b))") == ("54000", text)
    admin.execute("CREATE TABLE t (a varchar(1500), b char(500), c varchar(3000), d text, PRIMARY KEY (a, b))")
    assert refusal(admin, "CREATE INDEX /*a*/ ON t (c)") == ("54000", text)
    assert refusal(admin, "CREATE INDEX /*a*/ ON t (a, b, d, a)")[1] == text
    admin.execute("CREATE INDEX /*a*/ ON t (b) INCLUDE (c)")
    admin.execute("DROP TABLE t")
