"""Random schemas of the model test: one set of CREATE statements, run once for our tables and once for heap's.

`t` is the table that most statements work on. Its columns are always the same; its key, indexes, foreign keys and fill
factor are drawn. `kid` refers to it, `grandkid` to `kid`, `v` is a view on it, and the functions change it inside.
"""
import dataclasses
import random

ACTIONS = ("no action", "restrict", "cascade", "set null", "set default")
KEYS = ("id", "id", "id", "xy", "unique id", "none", "partitions")

UNIQUE_INDEXES = (
    "create unique index t_u on t(u)",
    "alter table t add constraint t_ud unique (u) deferrable initially deferred",
    "alter table t add constraint t_ui unique (u, x) deferrable initially immediate",
    "create unique index t_n on t(n)",
    "create unique index t_e on t(lower(e)) where e is not null",
    "create unique index t_d on t(d) where d > 60",
    "create unique index t_yu on t(y, u) nulls not distinct",
    "create unique index t_xd on t(x, d) include (c)",
    "alter table t add constraint t_r exclude using gist (int4range(u, u + 2) with &&) where (d < 4)",
)
PLAIN_INDEXES = (
    "create index t_x on t(x)", "create index t_c on t(c)", "create index t_d5 on t(d) where d > 5",
    "create index t_xy on t((x + y))", "create index t_y on t(y) include (c, id)", "create index t_g on t(g)",
    "create index t_h on t using hash (c)", "create index t_b on t using brin (x)",
    "create index t_big on t(md5(big))", "create index t_a on t using gin (string_to_array(c, 'x'))",
    "create index t_s on t using spgist (c)", "create index t_yd on t(y desc nulls last, d)")

COLUMNS = """id int{id}, x int not null, y int not null, u int, n numeric(10,2), c text, e text, d int default 5,
  boss int, g int generated always as (x * 2 + y) stored, big text"""

FUNCTIONS = """
create function bump(i int) returns bigint language sql volatile as $$
  update t set c = coalesce(c, '') || 'f' where id = i;
  insert into t(id, x, y, c) select id + 300, x, y + 300, 'made' from t where id = i and id < 100 order by x, y, c, d
    on conflict do nothing;
  update t set d = d + 1 where id = i + 300;
  select count(*) from t where c like '%f' or c = 'made'; $$;
create function of_x(i int) returns bigint language sql stable as $$ select count(*) from t where x = i $$;
create function of_x_now(i int) returns bigint language sql volatile as $$ select count(*) from t where x = i $$;
create function rows_of(i int) returns setof t language sql stable as $$ select * from t where y = i $$;
create function touch(i int) returns int language sql volatile as $$
  with z as (update t set d = coalesce(d, 0) + 1 where id = i returning d) select max(d) from z $$;
create function walk(lo int, hi int) returns int language plpgsql as $$
  declare c cursor for select id, x from t where id between lo and hi for update; r record; n int := 0;
  begin
    for r in c loop
      if r.x % 3 = 0 then delete from t where current of c;
      else update t set c = 'walked' where current of c; update t set y = y + 1 where current of c; end if;
      n := n + 1;
    end loop;
    return n;
  end $$;
create function attempt(i int, j int) returns text language plpgsql as $$
  declare n bigint;
  begin
    update t set d = 7 where id = i;
    begin
      update t set id = j where id = i;
      delete from t where x = j;
      insert into t(id, x, y) values (i, i, j);
      if j % 2 = 0 then raise exception 'enough'; end if;
    exception when others then
      select count(*) into n from t where d = 7;
      return sqlstate || ' ' || n;
    end;
    select count(*) into n from t where d = 7;
    return 'done ' || n;
  end $$"""

# Plans that outlive the write set that they were made beside.
PREPARED = (
    "prepare count_above(int) as select count(*) from t where id > $1",
    "prepare row_of(int) as select id, x, y, u, c, d from t where id = $1 order by 1, 2, 3, 4, 5, 6",
    "prepare change(int, text) as update t set c = $2 where id = $1 returning id, c, g",
    "prepare move(int, int) as update t set x = $2 where id = $1 and not exists (select 1 from t where x = $2) returning id, x",
    "prepare adopt(int, int) as insert into kid values ($1, $2, $2, 'prepared') on conflict (k) do update set p = $2, q = $2",
)


@dataclasses.dataclass
class Schema:
    statements: list
    partitioned: bool
    key: str            # one of KEYS
    parent: str | None  # the columns of t that kid refers to
    settings: list

    @property
    def tables(self):
        return ["t", "kid", "grandkid"]


def action(dice, verb):
    return f" on {verb} {dice.choice(ACTIONS)}"


def deferral(dice):
    return dice.choice(["", "", " deferrable", " deferrable initially deferred"])


def foreign_keys(dice, parent):
    """CREATE TABLE of kid and grandkid; kid.p and kid.q refer to the columns of `parent`."""
    columns = "k int primary key, p int default 3, q int default 3, note text"
    if parent:
        names = "(p)" if "," not in parent else "(p, q)"
        match = dice.choice(["", " match full"]) if "," in parent else ""
        columns += (f", foreign key {names} references t({parent}){match}{action(dice, 'delete')}"
                    f"{action(dice, 'update')}{deferral(dice)}")
    yield f"create table kid({columns})"
    if dice.random() < .6:
        yield "create index on kid(p, q)"
    yield (f"create table grandkid(k int primary key, of int references kid{action(dice, 'delete')}{action(dice, 'update')}"
           f"{deferral(dice)})")


def draw(dice: random.Random) -> Schema:
    key = dice.choice(KEYS)
    partitioned = key == "partitions"
    statements = []
    head = "create table t(" + COLUMNS.format(id=" primary key" if key in ("id", "partitions") else "")
    if key == "xy":
        head += ", primary key (x, y)"
    head += ", check (d is null or d < 900))"
    fill = f" with (fillfactor = {dice.choice([10, 30, 70, 100])})"
    if partitioned:
        statements.append(head + " partition by range (id)")
        for name, low, high in (("t1", "minvalue", "20"), ("t2", "20", "60"), ("t3", "60", "200")):
            statements.append(f"create table {name} partition of t for values from ({low}) to ({high}){fill}")
        statements.append("create table t4 partition of t default")
    else:
        statements.append(head + fill)
        statements.append("alter table t alter big set storage " + dice.choice(["external", "extended", "main"]))
    if key == "unique id":
        statements.append("alter table t add unique (id)")
    plain = [sql for sql in PLAIN_INDEXES if dice.random() < .3]
    unique = [] if partitioned else [sql for sql in UNIQUE_INDEXES if dice.random() < .25]
    parents = {"id": ["id"], "partitions": ["id"], "unique id": ["id"], "xy": ["x, y"], "none": []}[key]
    if any("t_u on" in sql for sql in unique):
        parents = parents + ["u"]
    parent = dice.choice(parents) if parents else None
    statements += plain + unique
    statements.append("""insert into t(id, x, y, u, n, c, e, d, big)
        select g, g, g, g * 2 + 1000, g, 'c' || g, case when g % 3 = 0 then 'e' || g end, g % 11,
          case when g % 5 = 0 then repeat(md5(g::text), 100) end from generate_series(1, 60) g""")
    if parent in ("id", "u") and dice.random() < .3:
        statements.append(f"alter table t add constraint t_boss foreign key (boss) references t({parent})"
                          f"{action(dice, 'delete')}{action(dice, 'update')}{deferral(dice)}")
    statements += foreign_keys(dice, parent)
    # u of row g is 2 g + 1000.
    mine = "g * 2 + 1000" if parent == "u" else "g"
    statements.append(f"insert into kid select g, {mine}, {mine}, 'n' || g from generate_series(1, 30) g")
    statements.append("insert into grandkid select g, g from generate_series(1, 15) g")
    statements.append("create view v as select id, x, y, c, d from t where d >= 0 with check option")
    statements.append(FUNCTIONS)
    statements += PREPARED
    return Schema(statements, partitioned, key, parent, settings(dice))


def settings(dice):
    """Which scans the plans may use."""
    off = dice.choice([[], ["seqscan", "bitmapscan"], ["seqscan", "indexscan", "indexonlyscan"],
                       ["indexscan", "indexonlyscan", "bitmapscan"], ["seqscan", "bitmapscan", "indexscan"]])
    chosen = [f"set enable_{scan} = off" for scan in off]
    if dice.random() < .5:
        chosen.append("set enable_hashjoin = off")
    if dice.random() < .5:
        chosen.append("set enable_mergejoin = off")
    if dice.random() < .5:
        chosen.append("set plan_cache_mode = force_generic_plan")
    return chosen
