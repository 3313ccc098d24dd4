"""What stock clients ask of the catalogue works, for admin and for a plain role: psql's backslash commands, type lookups
of drivers, reflection of SQLAlchemy (its search for hstore uses a savepoint, and is off). Stock pg_dump is refused, as on the service.
"""
import pathlib
import subprocess
import sys

import psycopg
import pytest
import sqlalchemy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.scratch_server import PORT, ScratchServer  # noqa: E402

BACKSLASH = [
    r"\d", r"\d t", r"\d+ t", r"\dt", r"\dt+", r"\dtvs", r"\di", r"\di+", r"\ds", r"\dv", r"\dv+", r"\l", r"\l+", r"\dn",
    r"\dn+", r"\df", r"\df+", r"\df sys.*", r"\du", r"\du+", r"\dg", r"\dp", r"\dp t", r"\ddp", r"\dT", r"\dT+", r"\dD",
    r"\dC", r"\dd", r"\db", r"\dx", r"\da", r"\do", r"\dO", r"\dX", r"\dL", r"\dA", r"\dAc", r"\dc", r"\des",
    r"\dRp", r"\dconfig work_mem", r"\drds", r"\dF", r"\dFd", r"\dy", r"\dP", r"\d sys.jobs", r"\sf f", r"\sv v",
    r"\conninfo", r"\encoding", r"\z",
]

# As drivers and tools send them.
QUERIES = {
    "postgres.js arrays": """
        select b.oid, b.typarray from pg_catalog.pg_type a left join pg_catalog.pg_type b on b.oid = a.typelem
        where a.typcategory = 'A' group by b.oid, b.typarray order by b.oid""",
    "asyncpg types": """
        WITH RECURSIVE typeinfo_tree(oid, ns, name, kind, basetype, elemtype, elemdelim, range_subtype, attrtypoids,
                                     attrnames, depth) AS (
          SELECT t.oid, ns.nspname, t.typname, t.typtype, t.typbasetype, t.typelem, elem_t.typdelim, range_t.rngsubtype,
            (CASE WHEN t.typtype = 'c' THEN (SELECT array_agg(ia.atttypid ORDER BY ia.attnum) FROM pg_attribute ia
               INNER JOIN pg_class c ON (ia.attrelid = c.oid) WHERE ia.attnum > 0 AND NOT ia.attisdropped
               AND c.reltype = t.oid) ELSE NULL END), NULL::text[], 0
          FROM pg_catalog.pg_type AS t INNER JOIN pg_catalog.pg_namespace ns ON (ns.oid = t.typnamespace)
          LEFT JOIN pg_type elem_t ON (t.typlen = -1 AND t.typelem != 0 AND t.typelem = elem_t.oid)
          LEFT JOIN pg_range range_t ON (t.oid = range_t.rngtypid)
          WHERE t.oid = any(ARRAY[1009, 3802]::oid[]))
        SELECT DISTINCT *, basetype::regtype::text AS basetype_name, elemtype::regtype::text FROM typeinfo_tree
        ORDER BY depth DESC""",
    "npgsql types": """
        SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid FROM (
          SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind,
                 elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, elemcls.relkind AS elemrelkind,
                 CASE WHEN elemproc.proname='array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype
          FROM (SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid,
                  CASE WHEN proc.proname='array_recv' THEN 'a' ELSE typ.typtype END AS typtype,
                  CASE WHEN proc.proname='array_recv' THEN typ.typelem WHEN typ.typtype='r' THEN rngsubtype
                       WHEN typ.typtype='d' THEN typ.typbasetype END AS elemtypoid
                FROM pg_type AS typ LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid)
                LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive
                LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)) AS typ
          LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid
          LEFT JOIN pg_class AS elemcls ON (elemcls.oid = elemtyp.typrelid)
          LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive) AS t
        JOIN pg_namespace AS ns ON (ns.oid = typnamespace)
        WHERE typtype IN ('b', 'r', 'm', 'e', 'd') OR (typtype = 'c' AND relkind='c') ORDER BY oid""",
    "pgjdbc columns": """
        SELECT * FROM (SELECT n.nspname, c.relname, a.attname, a.atttypid,
          a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull, a.atttypmod, a.attlen, t.typtypmod,
          row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum, nullif(a.attidentity, '') AS attidentity,
          nullif(a.attgenerated, '') AS attgenerated, pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc,
          dsc.description, t.typbasetype, t.typtype
        FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid)
        JOIN pg_catalog.pg_attribute a ON (a.attrelid = c.oid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid)
        LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid = def.adrelid AND a.attnum = def.adnum)
        LEFT JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid)
        WHERE c.relkind IN ('r', 'p', 'v', 'f', 'm') AND a.attnum > 0 AND NOT a.attisdropped) c
        WHERE true ORDER BY nspname, c.relname, attnum""",
    "pgjdbc keys": """
        SELECT result.table_schem, result.table_name, result.column_name, result.key_seq, result.pk_name FROM (
          SELECT n.nspname AS table_schem, ct.relname AS table_name, a.attname AS column_name,
            (information_schema._pg_expandarray(i.indkey)).n AS key_seq, ci.relname AS pk_name,
            information_schema._pg_expandarray(i.indkey) AS keys, a.attnum AS a_attnum
          FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid)
          JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid) JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid)
          JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid) WHERE i.indisprimary) result
        WHERE result.a_attnum = (result.keys).x ORDER BY result.table_name, result.pk_name, result.key_seq""",
    "psql 16 databases": """
        SELECT d.datname, pg_catalog.pg_get_userbyid(d.datdba), pg_catalog.pg_encoding_to_char(d.encoding),
          CASE d.datlocprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' END, d.datcollate, d.datctype, d.daticulocale,
          d.daticurules, pg_catalog.array_to_string(d.datacl, E'\\n') FROM pg_catalog.pg_database d ORDER BY 1""",
    "psql 16 collations": "SELECT c.collname, c.colliculocale, c.collicurules FROM pg_catalog.pg_collation c",
    "psql 16 memberships": """
        SELECT m.rolname, r.rolname, pg_catalog.concat_ws(', ', CASE WHEN pam.admin_option THEN 'ADMIN' END,
          CASE WHEN pam.inherit_option THEN 'INHERIT' END, CASE WHEN pam.set_option THEN 'SET' END), g.rolname
        FROM pg_catalog.pg_roles m JOIN pg_catalog.pg_auth_members pam ON (pam.member = m.oid)
        LEFT JOIN pg_catalog.pg_roles r ON (pam.roleid = r.oid) LEFT JOIN pg_catalog.pg_roles g ON (pam.grantor = g.oid)""",
    "identity sequence": "SELECT pg_get_serial_sequence('t', 'id')",
    "settings": "SELECT name, setting FROM pg_settings WHERE name IN ('server_version', 'search_path')",
    "privileges": "SELECT has_table_privilege('t', 'select'), has_schema_privilege(current_schema, 'usage')",
    "sizes": "SELECT pg_size_pretty(pg_total_relation_size('t')), pg_database_size(current_database()) > 0",
    "relation kinds": "SELECT 't'::regclass, to_regclass('t'), 'integer'::regtype, current_user::regrole",
    "timezones": "SELECT count(*) > 100 FROM pg_timezone_names",
    "statistics": "SELECT * FROM pg_stats WHERE tablename = 't'",
    "explain": "EXPLAIN (ANALYZE, VERBOSE, COSTS, BUFFERS, FORMAT JSON) SELECT count(*) FROM t",
}

INFORMATION_SCHEMA = [
    "tables", "columns", "views", "schemata", "key_column_usage", "table_constraints", "referential_constraints",
    "check_constraints", "constraint_column_usage", "sequences", "routines", "parameters", "domains", "domain_constraints",
    "table_privileges", "column_privileges", "role_table_grants", "usage_privileges", "enabled_roles", "applicable_roles",
    "character_sets", "collations", "triggers", "element_types", "attributes", "information_schema_catalog_name",
    "sql_features", "view_column_usage", "view_table_usage", "constraint_table_usage", "column_options",
]

SCHEMA = """
    CREATE TABLE {s}.p (id int PRIMARY KEY);
    CREATE TABLE {s}.t (id bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY, v int NOT NULL DEFAULT 5,
      s varchar(20) UNIQUE, p int REFERENCES {s}.p ON DELETE CASCADE, CONSTRAINT positive CHECK (v > 0));
    CREATE INDEX /*a*/ t_v ON {s}.t (v) INCLUDE (s) WHERE v > 1;
    CREATE VIEW {s}.v AS SELECT id, v FROM {s}.t;
    CREATE FUNCTION {s}.f(a int) RETURNS int LANGUAGE sql RETURN a + 1;
    COMMENT ON TABLE {s}.t IS 'a table';
    CREATE SEQUENCE {s}.q CACHE 1;
    ANALYZE {s}.t"""


@pytest.fixture(scope="module")
def server():
    with ScratchServer(roles=("app",), settings={"lock_timeout": "50ms"}) as started:
        started.execute_file_text("CREATE SCHEMA app AUTHORIZATION app")
        for role, schema in (("admin", "public"), ("app", "app")):
            connection = started.connect(role)
            for statement in SCHEMA.format(s=schema).split(";"):
                connection.execute(statement)
        yield started


@pytest.fixture(scope="module", params=["admin", "app"])
def role(request):
    return request.param


@pytest.fixture
def session(server, role):
    with server.connect(role) as connection:
        connection.execute(f"SET search_path = {'app' if role == 'app' else 'public'}")
        yield connection


def psql(server, role, *commands):
    argv = [str(server.programs / "psql"), "-X", "-v", "ON_ERROR_STOP=1", "-h", str(server.folder), "-p", str(PORT), "-U", role,
            "-d", "postgres"]
    for command in commands:
        argv += ["-c", command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, env={"PAGER": "cat", "LANG": "C.UTF-8"})


def test_backslash_commands_work(server, role):
    path = "SET search_path = app" if role == "app" else "SET search_path = public"
    # One psql for all of them: each start of it costs more than its query.
    done = psql(server, role, path, *(part for command in BACKSLASH for part in ("\\warn at " + command[1:], command)))
    assert done.returncode == 0, done.stderr.splitlines()[-2:]
    said = [line for line in done.stderr.splitlines() if not line.startswith(("at ", "Did not find any"))]
    assert said == []


def test_describe_shows_the_table(server, role):
    path = "SET search_path = app" if role == "app" else "SET search_path = public"
    shown = psql(server, role, path, r"\d t").stdout
    schema = "app" if role == "app" else "public"
    for line in (f'Table "{schema}.t"', "generated always as identity", '"t_pkey" PRIMARY KEY', "REFERENCES p(id) ON DELETE CASCADE",
                 '"positive" CHECK (v > 0)', '"t_v" btree (v) INCLUDE (s) WHERE v > 1'):
        assert line in shown


@pytest.mark.parametrize("name", QUERIES)
def test_query_works(session, name):
    session.execute(QUERIES[name]).fetchall()


@pytest.mark.parametrize("view", INFORMATION_SCHEMA)
def test_information_schema_works(session, view):
    session.execute(f"SELECT * FROM information_schema.{view}").fetchall()


def test_psycopg_finds_types(session):
    assert psycopg.types.TypeInfo.fetch(session, "jsonb").oid == 3802
    with pytest.raises(psycopg.errors.UndefinedObject):
        session.execute("SELECT 'absent'::regtype")


@pytest.mark.parametrize("options", ["", "WITH (FORMAT csv, HEADER)", "WITH (FORMAT binary)"])
def test_copy_goes_out_and_in(session, options):
    session.execute("CREATE TABLE copied (id int PRIMARY KEY, s text)")
    try:
        session.execute("INSERT INTO copied SELECT g, 'x' || g FROM generate_series(1, 100) g")
        cursor = session.cursor()
        with cursor.copy(f"COPY copied TO STDOUT {options}") as out:
            content = b"".join(bytes(part) for part in out)
        session.execute("DELETE FROM copied")
        with cursor.copy(f"COPY copied (id, s) FROM STDIN {options}") as into:
            into.write(content)
        assert session.execute("SELECT count(*), min(s), max(id) FROM copied").fetchone() == (100, "x1", 100)
    finally:
        session.execute("DROP TABLE copied")


def test_refusals_are_the_same_in_the_extended_protocol(session):
    session.prepare_threshold = 0
    for statement, state in (("LISTEN x", "0A000"), ("SET work_mem = '1GB'", "0A000"), ("SELECT 1 FROM t FOR SHARE", "0A000"),
                             ("CREATE INDEX no ON t (v)", "0A000"), ("SELECT pg_read_file('x')", "42501"),
                             ("BEGIN ISOLATION LEVEL SERIALIZABLE", "0A000"), ("CREATE TABLE x (a int[])", "0A000")):
        for _ in range(2):
            with pytest.raises(psycopg.Error) as caught:
                session.execute(statement, prepare=True)
            assert caught.value.sqlstate == state
    for _ in range(2):
        session.execute("CREATE INDEX /*a*/ twice ON t (v)", prepare=True)
        session.execute("DROP INDEX twice", prepare=True)
    for value in ("1", "2"):
        session.execute("CREATE TABLE numbers (n numeric)", prepare=True)
        session.execute("INSERT INTO numbers VALUES (%s)", (value,), prepare=True)
        assert str(session.execute("SELECT n FROM numbers").fetchone()[0]) == f"{value}.000000"
        session.execute("DROP TABLE numbers", prepare=True)


def test_sqlalchemy_reflects(server, role):
    schema = "app" if role == "app" else "public"
    engine = sqlalchemy.create_engine("postgresql+psycopg://", use_native_hstore=False, creator=lambda: server.connect(role, autocommit=False),
                                      poolclass=sqlalchemy.pool.NullPool)
    inspector = sqlalchemy.inspect(engine)
    assert schema in inspector.get_schema_names()
    assert set(inspector.get_table_names(schema)) == {"p", "t"}
    assert inspector.get_view_names(schema) == ["v"]
    assert [column["name"] for column in inspector.get_columns("t", schema)] == ["id", "v", "s", "p"]
    assert inspector.get_columns("t", schema)[0]["identity"]["always"] is True
    assert inspector.get_pk_constraint("t", schema)["constrained_columns"] == ["id"]
    assert inspector.get_foreign_keys("t", schema)[0]["referred_table"] == "p"
    assert {index["name"] for index in inspector.get_indexes("t", schema)} == {"t_v", "t_s_key"}
    assert inspector.get_check_constraints("t", schema)[0]["name"] == "positive"
    assert inspector.get_table_comment("t", schema)["text"] == "a table"
    assert inspector.get_sequence_names(schema)
    table = sqlalchemy.Table("t", sqlalchemy.MetaData(), schema=schema, autoload_with=engine)
    assert isinstance(table.c.s.type, sqlalchemy.VARCHAR)


def test_sqlalchemy_creates_and_writes(server):
    """Each DDL in its own transaction, as the service wants it."""
    engine = sqlalchemy.create_engine("postgresql+psycopg://", use_native_hstore=False, creator=lambda: server.connect("admin", autocommit=False),
                                      poolclass=sqlalchemy.pool.NullPool)
    made = sqlalchemy.Table("made", sqlalchemy.MetaData(), sqlalchemy.Column("id", sqlalchemy.UUID, primary_key=True),
                            sqlalchemy.Column("title", sqlalchemy.String(200), nullable=False),
                            sqlalchemy.Column("at", sqlalchemy.DateTime(timezone=True)),
                            sqlalchemy.Column("body", sqlalchemy.dialects.postgresql.JSONB))
    with engine.begin() as connection:
        made.create(connection)
    with engine.begin() as connection:
        connection.execute(made.insert(), [{"id": "0" * 31 + "1", "title": "a", "body": {"x": [1]}}])
        assert connection.execute(sqlalchemy.select(made.c.body)).scalar() == {"x": [1]}
    with engine.begin() as connection:
        made.drop(connection)


def test_stock_pg_dump_is_refused(server):
    """By the reported version if it is of an older one, else by its first SET; it never dumps half of a schema."""
    done = subprocess.run([str(server.programs / "pg_dump"), "-s", "-h", str(server.folder), "-p", str(PORT), "-U", "admin",
                           "postgres"], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and done.stdout == ""
    assert "not supported" in done.stderr or "version mismatch" in done.stderr
