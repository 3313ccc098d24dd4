"""Random statements of the model test. Each has one right answer whatever the order in which rows lie on disk: a SELECT
has an ORDER BY over all columns, RETURNING is compared as a set, and no mass update can collide or not by order.
"""
import dataclasses

ALL = "id, x, y, u, n, c, e, d, boss, g, big"
INTO = "t(id, x, y, u, n, c, e, d)"


@dataclasses.dataclass
class Statement:
    sql: str
    ordered: bool = True   # rows come in a defined order
    many: bool = False     # which of several rows breaks a constraint first is not defined
    copy: list | None = None  # lines for COPY FROM STDIN


def ordered(select, columns=ALL):
    return Statement(f"select {columns} from {select} order by {columns}")


class Statements:
    """Draws statements for one schema. `cursors` are the names of open ones."""

    def __init__(self, dice, schema):
        self.dice = dice
        self.schema = schema
        self.cursors = []
        self.cursor_count = 0

    def number(self, low=1, high=75):
        return self.dice.randint(low, high)

    def draw(self):
        return self.dice.choices(*zip(*(
            (self.update, 22), (self.delete, 8), (self.insert, 14), (self.upsert, 12), (self.select, 16), (self.lock, 5),
            (self.with_dml, 7), (self.merge, 4), (self.family, 14), (self.function, 7), (self.view, 4), (self.prepared, 8), (self.cursor, 9),
            (self.copy, 4), (self.toast, 5), (self.constraints, 5), (self.odd, 3))))[0]()

    def range(self):
        low = self.number()
        return low, low + self.number(0, 14)

    def row(self):
        i, j = self.number(), self.number()
        n, e = self.dice.choice([f"{i}.0", f"{i}.00", "null"]), self.dice.choice([f"'E{j}'", f"'e{j}'", "null"])
        u = self.dice.choice([str(j * 2 + 1000), str(i), "null"])
        return f"({i}, {self.number()}, {j}, {u}, {n}, 'i{j}', {e}, {self.number(0, 70)})"

    def returning(self):
        return self.dice.choice(["", f" returning {ALL}", " returning id, g, c"])

    # ------------------------------------------------------------------ rows

    def update(self):
        i, j = self.number(), self.number()
        low, high = self.range()
        one = [f"c = coalesce(c, '') || 'x'", f"id = {j}", f"u = {j * 2 + 1000}", f"u = {j}", f"x = {j}",
               f"x = {j}, y = {i}", f"n = {j}.00", f"e = 'E{j}'", "e = upper(e)", "e = null", f"d = {j}", f"d = 61",
               "d = d", "x = x", f"c = 'z', d = {j}", f"u = null", f"boss = {self.parent_value()}", "boss = null",
               f"id = id, c = 'same'", f"d = default", f"y = y + 1, c = 'moved'", "d = 901"]
        mass = ["c = 'm'", f"c = c || '{j}'", "x = x + 100", "d = 3", "y = y + 100", f"x = {j + 100} + id", "id = -id",
                "u = u + 5000", "n = null", "c = null, d = 59", "u = null"]
        kind = self.dice.randrange(7)
        if kind < 3:
            where = self.dice.choice([f"id = {i}", f"id = {i}", f"u = {i * 2 + 1000}", f"c = 'c{i}'", f"x + y = {2 * i}",
                                      f"lower(e) = 'e{i}'", f"id = {i} and ctid in (select ctid from t where id = {i})"])
            return Statement(f"update t set {self.dice.choice(one)} where {where}{self.returning()}", False, True)
        if kind < 5:
            where = self.dice.choice([f"id between {low} and {high}", f"x between {low} and {high}", f"d = {i % 12}",
                                      f"y > {i} and y < {i + 9}", f"g between {low} and {3 * high}"])
            # Rows that a mass update makes never meet those that it has still to change.
            return Statement(f"update t set {self.dice.choice(mass)} where {where} and coalesce(u, 0) < 5000 and id > 0"
                             f" and x < 100 and y < 100{self.returning()}", False, True)
        if kind == 5:
            return Statement("update t set c = z.c || '+' || z.s, d = 58 from (select id, max(c) as c, count(*)::int as s"
                             f" from t group by id) z where t.id = z.id + {self.number(0, 2)} and z.id between {low} and {high}"
                             f" returning t.id, t.c, t.d", False, True)
        return Statement(f"update t set (c, d) = (select min(s.c), 4 from t s where s.x = t.y and s.id < {i})"
                         f" where id between {low} and {high}{self.returning()}", False, True)

    def delete(self):
        i = self.number()
        low, high = self.range()
        where = self.dice.choice([f"id = {i}", f"id = {i}", f"u = {i * 2 + 1000}", f"x between {low} and {low + 3}",
                                  f"d = {i % 12} and id > {i}", f"c like 'c{i % 10}%' and id < 20"])
        using = f" using kid where t.id = kid.k and kid.k = {i}" if self.dice.random() < .2 else f" where {where}"
        return Statement(f"delete from t{using}" + self.dice.choice(["", " returning t.id, t.c, t.g"]), False, True)

    def insert(self):
        i = self.number()
        low, high = self.range()
        kind = self.dice.randrange(5)
        if kind < 2:
            return Statement(f"insert into {INTO} values {self.row()}{self.returning()}", False)
        if kind == 2:
            return Statement(f"insert into {INTO} values {self.row()}, {self.row()}, {self.row()}{self.returning()}", False, True)
        if kind == 3:
            # From itself.
            return Statement(f"insert into {INTO} select id + 400, x + 400, y + 400, u + 4000, n + 400, c, e || '4', 5 from t"
                             f" where id between {low} and {high} and id < 100 and coalesce(u, 0) < 4000"
                             f" and x < 400 and y < 400{self.returning()}", False, True)
        return Statement(f"insert into t(id, x, y) values ({i}, {i}, default), ({i}, {i}, {i})"
                         if self.dice.random() < .2 else f"insert into t(id, x, y, g) values ({i}, {i}, {i}, default)", False)

    def upsert(self):
        rows = ", ".join(self.row() for _ in range(self.dice.choice([1, 1, 1, 2, 3])))
        keys = {"id": "(id)", "partitions": "(id)", "unique id": "(id)", "xy": "(x, y)"}
        key = keys.get(self.schema.key)
        target = self.dice.choice([key, key, "(u)", "(lower(e)) where e is not null", "(d) where d > 60", "(n)"])
        what = self.dice.randrange(5)
        if what == 0 or target is None:
            return Statement(f"insert into {INTO} values {rows} on conflict do nothing{self.returning()}", False, True)
        if what == 1:
            return Statement(f"insert into {INTO} values {rows} on conflict {target} do nothing{self.returning()}", False, True)
        change = self.dice.choice(["c = t.c || '!', d = 6", "c = excluded.c", "x = excluded.x, y = t.y + 200", "u = excluded.u",
                                   "id = t.id + 500", "(c, d) = (select 'sub', 8)", "big = excluded.c || t.big", "c = t.c"])
        where = self.dice.choice(["", "", " where t.d > 4", f" where t.id <> {self.number()}"])
        return Statement(f"insert into {INTO} values {rows} on conflict {target} do update set {change}{where}"
                         f"{self.dice.choice(['', ' returning t.id, t.x, t.c, t.u'])}", False, True)

    def lock(self):
        low, high = self.range()
        mode = self.dice.choice(["update", "no key update", "share", "key share"])
        return self.dice.choice([
            ordered(f"(select * from t where id between {low} and {high} for {mode}) s", "id, c, d"),
            Statement(f"select id, c from t where id = {low} for {mode} nowait", False),
            Statement(f"select t.id, kid.k from t join kid on kid.k = t.id where t.id between {low} and {high} for {mode} of t",
                      False)])

    # ------------------------------------------------------------------ reads

    def select(self):
        i = self.number()
        low, high = self.range()
        return self.dice.choice([
            ordered(f"t where id between {low} and {high}"), ordered(f"t where x = {i}"), ordered(f"t where g > {i * 3}", "g, id, c"),
            ordered(f"t where c >= 'c{i}'", "c, id"), ordered("t where d > 5", "d, id"), ordered(f"t where x + y > {i}", "x, y, id"),
            ordered(f"t where lower(e) > 'e{i}' and e is not null", "e, id"), ordered("t where u is null", "id, x"),
            ordered(f"t tablesample system (100)", "id, c"), ordered(f"t tablesample bernoulli (100) where y > {i}", "id, c, y"),
            ordered("t where ctid between '(0,0)' and '(4294967294,60000)'", "id, c, d"),
            Statement("select count(*) from t"), Statement(f"select count(*) from t where id > {i}"),
            Statement(f"select count(*), sum(x) from t where y between {low} and {high}"),
            Statement(f"select count(y), min(y), max(y) from t where y < {i}"),
            Statement("select d, count(*) from t group by d order by d nulls first"),
            Statement("select id, x, count(*) over (partition by d order by id, x, y, c), sum(d) over () from t order by id, x, y, c, d"),
            Statement(f"select a.id, b.id from t a join t b on b.x = a.y and b.id <> a.id order by 1, 2 limit 40"),
            Statement(f"select a.id, (select count(*) from t b where b.x > a.x) from t a where id < {i} order by 1, 2"),
            Statement("with recursive r(b, n) as (select boss, 0 from t where boss is not null union select t.boss, n + 1 from r join t"
                      " on t.id = r.b where n < 4) select b, n from r order by 1, 2"),
            Statement(f"select kid.k, t.id, t.c from kid left join t on t.id = kid.p where kid.k > {i % 30} order by 1, 2, 3"),
            Statement("select * from kid order by 1"), Statement("select * from grandkid order by 1"),
            Statement("select k, of from grandkid full join (select k as kk from kid) z on z.kk = of order by 1, 2, z.kk"),
            Statement(f"select length(big), substr(big, 5, 4), md5(big) from t where id between {low} and {high} order by id, x, y, 3"),
            Statement(f"select max(c) from t where c < 'd'"), Statement("select x from t order by x desc, id desc limit 7"),
            Statement(f"(select id from t where id < {i} except select p from kid) order by 1"),
            ordered(f"t where c = 'c{i}'"), ordered(f"t where string_to_array(c, 'x') @> array['c{i}']", "id, c"),
            ordered(f"t where md5(big) = md5(repeat(md5('{i // 5 * 5}'), 100))", "id, c"),
            ordered(f"t where id in ({low}, {high}, {i}, {i + 1}) or x = {i}", "id, x, c"),
        ])

    def with_dml(self):
        i = self.number()
        low, high = self.range()
        return self.dice.choice([
            Statement(f"with z as (delete from t where id between {low} and {low + 4} returning *) insert into {INTO}"
                      f" select id, x, y, u, n, 'back', e, d from z returning id, c", False, True),
            Statement(f"with z as (update t set c = 'with' where id between {low} and {high} returning id, c), n as (select count(*)"
                      " as n from t where c = 'with') select z.id, z.c, n.n from z, n", False, True),
            Statement(f"with a as (update t set d = 9 where id = {i} returning id), b as (update t set c = 'second' where id = {i + 1}"
                      " returning id) select * from a union all select * from b", False),
            Statement(f"with a as (update t set c = 'one' where id = {i} returning id, c), b as (update t set c = 'two' where id = {i}"
                      f" returning id, c), d as (delete from t where id = {i} returning id) select (select count(*) from a),"
                      " (select count(*) from b), (select count(*) from d)", False, True),
            Statement(f"with a as (insert into {INTO} values {self.row()} returning id, x), b as (select count(*) as n from t"
                      f" where id = {i}) select a.id, a.x, b.n from a, b", False),
            Statement(f"with z as (delete from kid where k between {low % 30} and {low % 30 + 3} returning k, p) delete from t using z"
                      " where t.id = z.p and t.x > 40 returning t.id", False, True),
        ])

    def merge(self):
        i, j = self.number(), self.number()
        return Statement(
            f"merge into t using (values ({i}, {j}), ({i + 1}, {j + 1}), ({i + 70}, {j})) s(a, b) on t.id = s.a"
            " when matched and s.b % 3 = 0 then delete when matched and s.b % 3 = 1 then update set c = 'merged', x = s.b + 100"
            " when matched then do nothing"
            " when not matched then insert (id, x, y, c) values (s.a, s.b + 100, s.a + 100, 'new')", False, True)

    # ------------------------------------------------------------------ foreign keys

    def parent_value(self):
        value = self.dice.choice([self.number(), self.number(), "null", self.number(1, 200)])
        return value * 2 + 1000 if self.schema.parent == "u" and value != "null" else value

    def family(self):
        k, p = self.number(1, 40), self.parent_value()
        q = self.dice.choice([p, p, p, self.parent_value()])
        low, high = self.range()
        return self.dice.choice([
            Statement(f"insert into kid values ({k}, {p}, {q}, 'in')", False),
            Statement(f"insert into kid values ({k}, default, default, 'in') on conflict (k) do update set p = {p}, q = {q} returning *",
                      False),
            Statement(f"update kid set p = {p}, q = {q} where k = {k} returning *", False, True),
            Statement(f"update kid set p = {p}, q = {q}, note = 'n' where k between {low % 30} and {high % 40}", False, True),
            Statement(f"update kid set note = note || '.' where p > {k} returning *", False, True),
            Statement(f"update kid set k = k + 100 where k between {k} and {k + 2} and k < 100", False, True),
            Statement(f"delete from kid where k = {k} returning *", False, True),
            Statement(f"delete from kid where p between {low} and {high}", False, True),
            Statement(f"insert into grandkid values ({self.number(1, 60)}, {k})", False),
            Statement(f"update grandkid set of = {k} where k = {self.number(1, 20)} returning *", False, True),
            Statement(f"delete from grandkid where of > {k}", False, True),
            Statement(f"update t set id = id + 500, x = x + 500 where id = {self.number()} and x < 500 returning id, x", False, True),
            Statement(f"update t set u = u + 5000 where id = {self.number()} and u < 5000 returning id, u", False, True),
        ])

    def constraints(self):
        scan = self.dice.choice(["seqscan", "indexscan", "indexonlyscan", "bitmapscan"])
        return self.dice.choice([
            Statement("set constraints all " + self.dice.choice(["deferred", "immediate"]), False, True),
            Statement(f"set local enable_{scan} = {self.dice.choice(['on', 'off'])}")])

    # ------------------------------------------------------------------ the rest

    def function(self):
        i = self.number()
        low, high = self.range()
        only = f"id = {i} and not exists (select 1 from t s where s.id = {i} and s.ctid <> t.ctid)"
        return self.dice.choice([
            Statement(f"select bump({i})", False, True), Statement(f"select id, of_x(x), of_x_now(x) from t where id < {i} order by 1, 2, 3"),
            Statement(f"select bump({i}) + of_x({i})", False, True), Statement(f"select id, c from rows_of({i}) order by 1, 2"),
            Statement(f"update t set d = of_x({i})::int + 1 where id between {low} and {high} returning id, d", False, True),
            Statement(f"select touch({i}), touch({i}), touch({i + 1})", False, True),
            Statement(f"select walk({i}, {i + 1})", False, True), Statement(f"select attempt({i}, {self.number()})", False, True),
            Statement(f"update t set c = c || touch(id + 1) where {only} returning id, c, d", False, True),
            Statement(f"insert into {INTO} select id + 600, x + 600, y + 600, null, null, 'fn' || touch(id), null, 5 from t where {only}"
                      " and x < 600", False, True),
        ])

    def prepared(self):
        i, j = self.number(), self.number()
        return self.dice.choice([
            Statement(f"execute count_above({i})"), Statement(f"execute row_of({i})"),
            Statement(f"execute change({i}, 'p{j}')", False, True), Statement(f"execute move({i}, {j + 200})", False, True),
            Statement(f"execute adopt({self.number(1, 40)}, {self.parent_value()})", False, True)])

    def view(self):
        i, j = self.number(), self.number()
        return self.dice.choice([
            Statement(f"update v set c = 'view' where id = {i} returning *", False, True),
            Statement(f"update v set d = {j - 10} where id = {i}", False, True),
            Statement(f"delete from v where id = {i} returning *", False, True),
            Statement(f"insert into v values ({i}, {j}, {j}, 'vi', {j - 5}) returning *", False),
            Statement("select * from v order by id, x, y, c, d"),
        ])

    def cursor(self):
        low, high = self.range()
        if not self.cursors or self.dice.random() < .35:
            self.cursor_count += 1
            name = f"cur{self.cursor_count}"
            self.cursors.append(name)
            form = self.dice.choice(["scroll cursor", "scroll cursor with hold", "cursor"])
            if form == "cursor":
                return Statement(f"declare {name} cursor for select id, c from t where id = {low} for update")
            return Statement(f"declare {name} {form} for select {ALL} from t where id >= {low} order by {ALL}")
        name = self.dice.choice(self.cursors)
        return self.dice.choice([
            Statement(f"fetch {self.number(1, 5)} from {name}"), Statement(f"fetch next from {name}"),
            Statement(f"fetch backward {self.number(1, 3)} from {name}"), Statement(f"fetch all from {name}"),
            Statement(f"fetch absolute {self.number(1, 9)} from {name}"), Statement(f"fetch relative -1 from {name}"),
            Statement(f"update t set c = 'current' where current of {name} returning id, c", False, True),
            Statement(f"update t set x = x + 100 where current of {name} and x < 100 returning id, x", False, True),
            Statement(f"delete from t where current of {name} returning id", False, True),
            Statement(f"close {name}"),
        ])

    def copy(self):
        i, j = self.number(), self.number()
        if self.dice.random() < .5:
            return Statement(f"copy (select {ALL} from t where x > {i} order by {ALL}) to stdout")
        lines = [f"{i + n}\t{j + n}\t{j + n}\t\\N\t\\N\tcopied\t\\N\t5\n" for n in range(self.dice.choice([1, 2, 30]))]
        return Statement(f"copy {INTO} from stdin", False, True, lines)

    def toast(self):
        i, j = self.number(), self.number()
        return self.dice.choice([
            Statement(f"update t set big = repeat(md5('{j}'), 200) where id = {i} returning id, md5(big)", False, True),
            Statement(f"update t set big = (select max(big) from t s where s.id % 5 = 0 and s.id <= {j}) where id = {i}"
                      " returning id, length(big)", False, True),
            Statement(f"update t set big = big || big where id between {i} and {i + 5} and length(big) < 50000 returning id, md5(big)",
                      False, True),
            Statement(f"update t set big = null where id = {i}", False, True),
            Statement(f"insert into t(id, x, y, big) select id + 700, x + 700, y + 700, big from t where id between {i} and {i + 6}"
                      " and x < 700 returning id, md5(big)", False, True),
        ])

    def odd(self):
        i = self.number()
        return self.dice.choice([
            Statement(f"update t set g = 5 where id = {i}"), Statement(f"insert into {INTO} values {self.row()}, (null, null, 1, 1, 1, '', '', 1)"),
            Statement("select 1 / (count(*) - count(*)) from t"),
            Statement(f"update t set d = 1 where id = {i} and 1 / (d - d) = 1"),
        ])
