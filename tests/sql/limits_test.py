"""Counts of objects and sizes of values and transactions, each at its limit and one above, and lowered by its setting; no client can change
any. Sizes as documented, texts as recorded (docs/limits.md)."""
import functools
import pathlib
import random
import re
import sys

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.jobs import change, wait_for_open_jobs  # noqa: E402
from support.scratch_server import ROOT, ScratchServer  # noqa: E402


@pytest.fixture(scope="module")
def admin():
    with ScratchServer(settings={"lock_timeout": "50ms"}) as server:
        yield server.connect("admin")


def build(connection, statement):
    """An index, and the end of its job: a schema change that meets a job is told OC001, as on a server without a router."""
    change(connection, statement)
    wait_for_open_jobs(connection, timeout=60)


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
        build(admin, f"CREATE INDEX /*a*/ ON t (c{number})")
    assert refusal(admin, "CREATE INDEX /*a*/ ON t (c23)") == ("54000", "more than 24 indexes per table are not allowed")
    admin.execute("CREATE INDEX /*a*/ IF NOT EXISTS t_c0_idx ON t (c0)")  # is there: none is added
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
    build(admin, "CREATE INDEX /*a*/ ON t (b) INCLUDE (c)")
    admin.execute("DROP TABLE t")


@pytest.fixture
def values(admin):
    admin.execute("CREATE TABLE t (id int PRIMARY KEY, s text, s2 text, s3 text, b bytea, j jsonb, v varchar)")
    yield admin
    if admin.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        admin.execute("ROLLBACK")
    admin.execute("DROP TABLE t")


MIB = 1 << 20


@functools.cache
def noise(size: int) -> str:
    """Text that does not compress."""
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
    values.execute("INSERT INTO t (id, s) VALUES (4, repeat('a', 214 * 1048576))")  # the service was seen to take it
    assert values.execute("SELECT length(s), pg_column_size(s) < 1048576 FROM t WHERE id = 4").fetchone() == (214 * MIB, True)
    assert refusal(values, "INSERT INTO t (id, s) VALUES (5, repeat('a', 260 * 1048576))") == text("text")
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


def told(connection, statement, *parameters) -> tuple[str, str, str | None]:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement, *parameters)
    return caught.value.sqlstate, caught.value.diag.message_primary, caught.value.diag.message_detail


SIZE = "54000", "transaction size limit 10mb exceeded", "Current transaction size 11mb > 10mb"


def test_transaction_bytes(values):
    values.execute("BEGIN")
    for number in range(11):
        values.execute("INSERT INTO t (id, s) VALUES (%s, %s)", (number, noise(MIB)))
    assert told(values, "COMMIT") == SIZE
    assert values.execute("SELECT count(*) FROM t").fetchone() == (0,)
    values.execute("BEGIN")
    for number in range(9):
        values.execute("INSERT INTO t (id, s) VALUES (%s, %s)", (number, noise(MIB)))
    values.execute("COMMIT")
    assert values.execute("SELECT count(*) FROM t").fetchone() == (9,)


def test_a_transaction_counts_what_it_leaves(values):
    """Rows that are replaced or deleted again count once or not at all, and values as they are stored."""
    values.execute("INSERT INTO t (id) VALUES (0)")
    values.execute("BEGIN")
    for number in range(15):
        values.execute("UPDATE t SET s = %s WHERE id = 0", (noise(MIB),))
    values.execute("INSERT INTO t (id, s) VALUES (1, %s)", (noise(MIB),))
    for number in range(15):
        values.execute("UPDATE t SET s = %s WHERE id = 1", (noise(MIB),))
    values.execute("COMMIT")
    values.execute("BEGIN")
    for number in range(10, 25):
        values.execute("INSERT INTO t (id, s) VALUES (%s, %s)", (number, noise(MIB)))
    values.execute("DELETE FROM t WHERE id BETWEEN 10 AND 20")
    values.execute("COMMIT")
    values.execute("BEGIN")
    for number in range(30, 60):
        values.execute("INSERT INTO t (id, s) VALUES (%s, repeat('x', 1000000))", (number,))
    values.execute("COMMIT")
    values.execute("BEGIN")
    values.execute("UPDATE t SET s2 = repeat('y', 1000000) WHERE id >= 30")
    values.execute("COMMIT")
    values.execute("BEGIN")
    for number in range(30, 41):
        values.execute("UPDATE t SET s = %s WHERE id = %s", (noise(MIB), number))
    assert told(values, "COMMIT") == SIZE


def test_a_transaction_counts_its_index_entries(values):
    wide = "x" * 1000
    values.execute("CREATE TABLE narrow (id int PRIMARY KEY, k text)")
    values.execute("BEGIN")
    values.execute("INSERT INTO narrow SELECT g, %s || g FROM generate_series(1, 3000) g", (noise(1000),))
    values.execute("COMMIT")
    values.execute("DELETE FROM narrow")
    for name in ("a", "b", "c"):
        build(values, f"CREATE INDEX /*a*/ {name} ON narrow (k)")
    assert told(values, "INSERT INTO narrow SELECT g, %s || g FROM generate_series(1, 3000) g", (noise(1000),))[:2] == SIZE[:2]
    values.execute("INSERT INTO narrow SELECT g, %s || g FROM generate_series(1, 2000) g", (wide,))
    values.execute("DROP TABLE narrow")


def test_what_a_transaction_writes_in_all_is_bounded_at_the_statement(values):
    values.execute("INSERT INTO t (id) VALUES (0)")
    values.execute("BEGIN")
    for number in range(39):
        values.execute("UPDATE t SET s = %s WHERE id = 0", (noise(MIB),))
    assert told(values, "UPDATE t SET s = %s WHERE id = 0", (noise(MIB),)) == \
        ("54000", "transaction size limit 10mb exceeded", "Current transaction size 40mb > 10mb")
    values.execute("ROLLBACK")


def test_key_bytes(admin):
    text = "54000", "key size too large", None
    admin.execute("CREATE TABLE k (a varchar(2000) PRIMARY KEY, b text, c text, n int)")
    build(admin, "CREATE INDEX /*a*/ ON k (b, n)")
    build(admin, "CREATE UNIQUE INDEX /*a*/ ON k (c) WHERE n > 0")
    build(admin, "CREATE INDEX /*a*/ ON k ((c || c))")
    longest, longer = noise(1024), noise(1026)[:1025]
    admin.execute("INSERT INTO k VALUES (%s, %s, 'c', 1)", (longest, longest[:1020]))
    assert told(admin, "INSERT INTO k VALUES (%s)", (longer,)) == text
    assert told(admin, "INSERT INTO k VALUES ('x', %s, 'd', 1)", (longest[:1021],)) == text
    assert told(admin, "UPDATE k SET b = %s", (longest,)) == text
    assert told(admin, "UPDATE k SET a = %s", (longer,)) == text
    assert told(admin, "INSERT INTO k VALUES ('x', 'b', %s, 1)", (longer,)) == text
    assert told(admin, "INSERT INTO k VALUES ('x', 'b', %s, 0)", (longest,)) == text  # twice as long in the expression
    admin.execute("DROP INDEX k_expr_idx")
    admin.execute("INSERT INTO k VALUES ('x', 'b', %s, 0)", (longer,))  # not in the partial index
    assert told(admin, "UPDATE k SET n = 1 WHERE a = 'x'") == text
    with pytest.raises(psycopg.Error) as caught, admin.cursor().copy("COPY k (a) FROM STDIN") as copy:
        copy.write_row((longer,))
    assert (caught.value.sqlstate, caught.value.diag.message_primary) == text[:2]
    # Never compressed, whatever PostgreSQL would do.
    assert told(admin, "INSERT INTO k VALUES (repeat('x', 1025))") == text
    admin.execute("DROP TABLE k")


def test_views(admin):
    literal = "x" * (2 * MIB)
    assert told(admin, f"CREATE VIEW large AS SELECT '{literal}'") == ("54000", "view definition too large", None)
    admin.execute(f"CREATE VIEW large AS SELECT '{literal[100:]}' AS c")
    admin.execute("DROP VIEW large")


@pytest.mark.parametrize("statement", ["SELECT " + " + ".join(["1"] * 20_000), "SELECT repeat('[', 100000)::json"])
def test_depth_is_told_with_a_hint_that_a_client_can_follow(admin, statement):
    with pytest.raises(psycopg.errors.StatementTooComplex, match="stack depth limit exceeded") as caught:
        admin.execute(statement)
    assert caught.value.diag.message_hint.startswith("Nest less deeply") and "max_stack_depth" not in str(caught.value)
    with pytest.raises(psycopg.errors.StatementTooComplex, match="Nest less deeply"):  # also after an error
        admin.execute(statement)


def test_statistics(admin):
    admin.execute("CREATE TABLE t (a int, b int, c int)")
    for number in range(5):
        admin.execute(f"CREATE STATISTICS s{number} ON a, b FROM t")
    assert told(admin, "CREATE STATISTICS s5 ON a, b FROM t")[0] == "54000"
    assert told(admin, "ALTER STATISTICS s0 SET STATISTICS 101")[:2] == \
        ("22023", "statistics target 101 exceeds maximum allowed value of 100")
    admin.execute("ALTER STATISTICS s0 SET STATISTICS 100")
    admin.execute("DROP TABLE t")


# ------------------------------------------------------------------ settings

SMALL = {"schemas_max": 2, "tables_max": 3, "views_max": 2, "view_bytes_max": 100, "sequences_max": 2, "columns_max": 4,
         "indexes_max": 2, "key_columns_max": 2, "declared_key_bytes_max": 100, "statistics_max": 1, "statistics_target_max": 10,
         "char_bytes_max": 60, "varchar_bytes_max": 2000, "key_bytes_max": 50, "column_bytes_max": 2000, "row_bytes_max": 3000, "transaction_rows_max": 10,
         "transaction_marks_max": 10, "transaction_mib_max": 1, "transaction_hard_mib_max": 2, "transaction_age_s_max": 200}


@pytest.fixture(scope="module")
def small():
    settings = {f"zorya.{name}": str(value) for name, value in SMALL.items()} | {"zorya.transaction_rows_max": "3000"}
    with ScratchServer(settings=settings) as server:
        yield server


def test_each_limit_has_a_setting_that_lowers_it(small):
    admin = small.connect("admin")

    def refused(statement, state, text):
        assert told(admin, statement)[:2] == (state, text)
    admin.execute("CREATE TABLE a (id bigint GENERATED BY DEFAULT AS IDENTITY (CACHE 1) PRIMARY KEY, b varchar(50), c text, d text)")
    refused("CREATE TABLE b (a int, b int, c int, d int, e int)", "54011", "tables can have at most 4 columns")
    refused("CREATE TABLE b (LIKE a, e int)", "54011", "tables can have at most 4 columns")
    refused("CREATE TABLE b (a char(61))", "54000", "Datatype limit greater than 60 bytes not supported for char")
    refused("CREATE TABLE b (a varchar(2001))", "54000", "Datatype limit greater than 2000 bytes not supported for varchar")
    refused("ALTER TABLE a ADD COLUMN e int", "54011", "tables can have at most 4 columns")
    refused("CREATE TABLE b (a int UNIQUE, b int UNIQUE, c int UNIQUE)", "54000", "more than 2 indexes per table are not allowed")
    refused("CREATE TABLE b (a int, b int, c int, PRIMARY KEY (a, b, c))", "54011",
            "more than 2 column keys in an index are not supported")
    refused("CREATE TABLE b (a varchar(101) PRIMARY KEY)", "54000", "key size greater than 100 bytes not supported")
    refused("CREATE TABLE b (LIKE a INCLUDING ALL, UNIQUE (c), UNIQUE (d))", "54000", "more than 2 indexes per table are not allowed")
    refused("CREATE SCHEMA s CREATE TABLE b (id int) CREATE TABLE c (id int) CREATE TABLE d (id int)", "54000",
            "creating more than 3 tables not allowed")
    admin.execute("CREATE SCHEMA s CREATE TABLE b (id int) CREATE TABLE c (id int)")
    refused("CREATE TABLE d (id int)", "54000", "creating more than 3 tables not allowed")
    admin.execute("DROP TABLE s.c")
    admin.execute("CREATE SEQUENCE q CACHE 1")
    refused("CREATE SEQUENCE r CACHE 1", "54000", "creating more than 2 sequences is not allowed")
    refused("CREATE TABLE d (id bigint GENERATED ALWAYS AS IDENTITY (CACHE 1))", "54000",
            "creating more than 2 sequences is not allowed")
    refused("CREATE TABLE d (LIKE a INCLUDING IDENTITY)", "54000", "creating more than 2 sequences is not allowed")
    admin.execute("CREATE SCHEMA s2")
    refused("CREATE SCHEMA s3", "54000", "more than 2 schemas not allowed")
    admin.execute("CREATE VIEW v AS SELECT 1 AS x")
    admin.execute("CREATE VIEW w AS SELECT 1 AS x")
    refused("CREATE VIEW u AS SELECT 1 AS x", "54000", "creating more than 2 views not allowed")
    admin.execute("CREATE OR REPLACE VIEW w AS SELECT 2 AS x")
    refused(f"CREATE OR REPLACE VIEW w AS SELECT {'1 +' * 40} 2 AS x", "54000", "view definition too large")
    admin.execute("CREATE STATISTICS st ON b, c FROM a")
    refused("CREATE STATISTICS st2 ON b, c FROM a", "54000", "more than 1 extended statistics per table are not allowed")
    refused("ALTER STATISTICS st SET STATISTICS 11", "22023", "statistics target 11 exceeds maximum allowed value of 10")
    build(admin, "CREATE INDEX /*a*/ ON a (b)")
    refused(f"INSERT INTO a (b) VALUES ('{'x' * 51}')", "22001", "value too long for type character varying(50)")
    refused("CREATE INDEX /*a*/ ON a (c)", "54000", "more than 2 indexes per table are not allowed")
    refused(f"INSERT INTO a (c) VALUES ('{noise(2002)}')", "54000", "datatype limit greater than 2000 bytes not supported for text")
    refused(f"INSERT INTO a (c, d) VALUES ('{noise(2000)}', '{noise(1200)}')", "54000", "maximum row size exceeded")
    admin.execute("DROP INDEX a_b_idx")
    build(admin, "CREATE INDEX /*a*/ ON a (c)")
    refused(f"INSERT INTO a (c) VALUES ('{'x' * 51}')", "54000", "key size too large")
    admin.execute("DROP INDEX a_c_idx")
    assert told(admin, f"INSERT INTO a (c) SELECT '{noise(1500)}' FROM generate_series(1, 800)") == \
        ("54000", "transaction size limit 1mb exceeded", "Current transaction size 2mb > 1mb")
    admin.execute("BEGIN")
    refused(f"INSERT INTO a (c) SELECT '{noise(1500)}' FROM generate_series(1, 1600)", "54000", "transaction size limit 1mb exceeded")
    admin.execute("ROLLBACK")
    admin.execute("INSERT INTO a (c) SELECT g FROM generate_series(1, 20) g")
    admin.execute("BEGIN")
    refused("SELECT * FROM a FOR UPDATE", "54000", "transaction row limit exceeded")
    admin.execute("ROLLBACK")


def settings_of(connection):
    return dict(connection.execute("SELECT name, setting FROM pg_settings WHERE name LIKE 'zorya.%' OR name = 'temp_file_limit'"
                                   " ORDER BY name").fetchall())


def test_no_client_raises_lowers_or_switches_off_a_limit(small):
    admin = small.connect("admin")
    before = settings_of(admin)
    assert {f"zorya.{name}" for name in SMALL} <= set(before)
    for name, value in before.items():
        other = {"on": "off", "off": "on"}.get(value) or str(int(value) - 1)
        for statement in (f"SET {name} = {other}", f"SET LOCAL {name} = {other}", f"SET SESSION {name} TO DEFAULT", f"RESET {name}",
                          f"SELECT set_config('{name}', '{other}', false)", f"ALTER ROLE admin SET {name} = {other}",
                          f"ALTER DATABASE postgres SET {name} = {other}", f"ALTER SYSTEM SET {name} = {other}",
                          f"CREATE FUNCTION f() RETURNS int LANGUAGE sql SET {name} = {other} AS 'SELECT 1'",
                          f"UPDATE pg_settings SET setting = '{other}' WHERE name = '{name}'", "DISCARD ALL"):
            admin.execute("BEGIN")
            with pytest.raises(psycopg.Error) as caught:
                admin.execute(statement)
            assert caught.value.sqlstate in ("0A000", "42501", "25001"), (statement, caught.value)
            admin.execute("ROLLBACK")
        with pytest.raises(psycopg.Error):
            small.connect("admin", options=f"-c {name}={other}")
    admin.execute("RESET ALL")
    assert settings_of(admin) == before == settings_of(small.connect("admin"))


def test_the_owner_cannot_raise_a_limit_either(small):
    owner = small.connect()
    largest = dict(owner.execute("SELECT name, max_val FROM pg_settings WHERE name LIKE 'zorya.%_max'").fetchall())
    assert len(largest) == len(SMALL)
    for name, value in largest.items():
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            owner.execute(f"SET {name} = {int(value) + 1}")
        owner.execute(f"SET {name} = {value}")


def test_the_document_names_each_setting_and_a_test_that_is_there():
    text = (ROOT / "docs" / "limits.md").read_text()
    for name in SMALL:
        assert f"`zorya.{name}`" in text, name
    named = set(re.findall(r"`((?:tests|src)/[\w/.]+)(?:::(\w+))?`", text))
    assert named
    for file, test in named:
        assert (ROOT / file).exists(), file
        if test:
            assert re.search(rf"\b{test}\b", (ROOT / file).read_text()), (file, test)
