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


@pytest.fixture
def values(admin):
    admin.execute("CREATE TABLE t (id int PRIMARY KEY, s text, s2 text, s3 text, b bytea, j jsonb, v varchar)")
    yield admin
    if admin.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        admin.execute("ROLLBACK")
    admin.execute("DROP TABLE t")


MIB = 1 << 20


def noise(size: int) -> str:
    """Text that does not compress."""
    import random
    return random.Random(1).randbytes(size // 2).hex()


def too_large(connection, column, value) -> tuple[str, str]:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(f"INSERT INTO t (id, {column}) VALUES (1, %s)", (value,))
    return caught.value.sqlstate, caught.value.diag.message_primary


def test_column_bytes(values):
    def text(name):
        return "54000", f"datatype limit greater than 1048576 bytes not supported for {name}"
    assert too_large(values, "s", noise(MIB + 2)) == text("text")
    assert too_large(values, "v", noise(MIB + 2)) == text("character varying")
    assert too_large(values, "b", b"x" * (MIB + 1)) == text("bytea")  # never compressed
    assert too_large(values, "j", psycopg.types.json.Jsonb(noise(MIB + 100))) == text("jsonb")
    values.execute("INSERT INTO t (id, s) VALUES (1, %s)", (noise(MIB),))
    values.execute("INSERT INTO t (id, b) VALUES (2, %s)", (b"x" * MIB,))
    values.execute("INSERT INTO t (id, s) VALUES (3, repeat('x', 20000000))")  # compresses
    with pytest.raises(psycopg.Error) as caught:
        values.execute("UPDATE t SET s = s || %s WHERE id = 1", (noise(100),))
    assert caught.value.sqlstate == "54000"
    values.execute("UPDATE t SET v = 'small' WHERE id = 1")


def test_row_bytes(values):
    part = noise(MIB - 1000)
    values.execute("INSERT INTO t (id, s, s2) VALUES (1, %s, %s)", (part, part))
    with pytest.raises(psycopg.Error) as caught:
        values.execute("INSERT INTO t (id, s, s2, s3) VALUES (2, %s, %s, %s)", (part, part, part))
    assert (caught.value.sqlstate, caught.value.diag.message_primary) == ("54000", "maximum row size exceeded")


def test_transaction_bytes(values):
    values.execute("BEGIN")
    for number in range(11):
        values.execute("INSERT INTO t (id, s) VALUES (%s, %s)", (number, noise(MIB)))
    with pytest.raises(psycopg.Error) as caught:
        values.execute("COMMIT")
    assert (caught.value.sqlstate, caught.value.diag.message_primary, caught.value.diag.message_detail) == \
        ("54000", "transaction size limit 10mb exceeded", "Current transaction size 11mb > 10mb")
    assert values.execute("SELECT count(*) FROM t").fetchone() == (0,)
    values.execute("BEGIN")
    for number in range(9):
        values.execute("INSERT INTO t (id, s) VALUES (%s, %s)", (number, noise(MIB)))
    values.execute("COMMIT")
    assert values.execute("SELECT count(*) FROM t").fetchone() == (9,)
