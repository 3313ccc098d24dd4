"""Snapshot isolation by definition, for a few tables: what each statement must answer, and what each COMMIT must.

Nothing here is how the server does it. A transaction has a copy of the committed state of its first statement and works on
it; it notes each key that it uses and how. At COMMIT the whole history is looked through: it loses if a transaction that
committed since its snapshot used one of its keys in a way that cannot stand beside its own. Otherwise its rows become the
committed state. Values are compared as Python compares them (Decimal('1.0') == Decimal('1.00')), never by hash.
"""
from decimal import Decimal

KEY_SHARE, SHARE, NO_KEY_UPDATE, UPDATE = range(4)
# The published table, with FOR SHARE in its place.
CANNOT_BOTH_COMMIT = {(UPDATE, UPDATE), (UPDATE, NO_KEY_UPDATE), (UPDATE, SHARE), (UPDATE, KEY_SHARE),
                      (NO_KEY_UPDATE, NO_KEY_UPDATE), (NO_KEY_UPDATE, SHARE)}

# p(id, v, m): parents; kc, kd, kn(id, p, w): children that go, that fall back to parent 0, that forbid;
# kx(id, p, w): children whose parent is looked for at COMMIT; u(id, n, c, active): unique n, and unique lower(c) among
# the active; o(k, z, v): no primary key; unique k, and unique z with nulls that are equal.
# Rows are so wide that two fill a page: pages without changes stay all-visible beside those with some.
PAD = "pad text default repeat('x', 3500)"
SCHEMA = f"""
    create table p(id int primary key, v int, m int, {PAD});
    create index p_m on p(m);
    create table kc(id int primary key, p int references p on delete cascade on update cascade, w int, {PAD});
    create table kd(id int primary key, p int default 0 references p on delete set default, w int, {PAD});
    create table kn(id int primary key, p int references p, w int, {PAD});
    create table kx(id int primary key, p int references p deferrable initially deferred, w int, {PAD});
    create table o(k int unique, z int unique nulls not distinct, v int, {PAD});
    create index kx_p on kx(p);
    create index kc_p on kc(p);
    create index kd_p on kd(p);
    create index kn_p on kn(p);
    create table u(id int primary key, n numeric unique, c text, active bool, {PAD});
    create unique index u_c on u(lower(c)) where active;
    create index u_active on u(active);
    alter table p alter pad set storage plain;
    alter table kc alter pad set storage plain;
    alter table kd alter pad set storage plain;
    alter table kn alter pad set storage plain;
    alter table u alter pad set storage plain;
    alter table kx alter pad set storage plain;
    alter table o alter pad set storage plain"""
COLUMNS = {"p": ("v", "m"), "kc": ("p", "w"), "kd": ("p", "w"), "kn": ("p", "w"), "kx": ("p", "w"),
           "u": ("n", "c", "active"), "o": ("k", "z", "v")}


class Refused(Exception):
    """The statement must end in this SQLSTATE."""
    def __init__(self, sqlstate):
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def folded(row):
    return row["c"].lower() if row["active"] and row["c"] is not None else None


def same_notation(a, b):
    return a is b or (a is not None and b is not None and a.as_tuple() == b.as_tuple())


class Database:
    def __init__(self):
        self.rows = {table: {} for table in COLUMNS}
        self.commit_count = 0
        self.history = []  # (number of the commit, {(key, how)})
        self.row_count = 0  # of table o, whose rows have no name of their own: each gets a number here


class Transaction:
    def __init__(self, database):
        self.database = database
        self.snapshot = database.commit_count
        self.before = {table: dict(rows) for table, rows in database.rows.items()}
        self.rows = {table: dict(rows) for table, rows in database.rows.items()}
        self.uses = set()
        self.changed = set()  # (table, id)
        self.deferred = set()  # children in kx whose parent was named

    # ------------------------------------------------------------------ the end

    def reason_to_lose(self):
        for number, theirs in self.database.history:
            if number <= self.snapshot:
                continue
            for key, how in theirs:
                for ours, our_how in self.uses:
                    if key == ours and ((how, our_how) in CANNOT_BOTH_COMMIT or (our_how, how) in CANNOT_BOTH_COMMIT):
                        return key, how, our_how
        return None

    def check_deferred(self):
        """What waits for COMMIT; it comes before the conflicts."""
        for kid in self.deferred & self.rows["kx"].keys():
            self.need_parent(self.rows["kx"][kid]["p"])
        for parent in self.before["p"].keys() - self.rows["p"].keys():
            if ("p", parent) in self.changed and self.where("kx", p=parent):
                raise Refused("23503")

    def commit(self):
        database = self.database
        if not self.uses:
            return
        database.commit_count += 1
        database.history.append((database.commit_count, frozenset(self.uses)))
        for table, identity in self.changed:
            if identity in self.rows[table]:
                database.rows[table][identity] = self.rows[table][identity]
            else:
                database.rows[table].pop(identity, None)

    # ------------------------------------------------------------------ rows

    def use(self, key, how):
        self.uses.add((key, how))

    def put(self, table, identity, how, **row):
        self.use((table, identity), how)
        self.rows[table][identity] = row
        self.changed.add((table, identity))

    def remove(self, table, identity):
        self.use((table, identity), UPDATE)
        del self.rows[table][identity]
        self.changed.add((table, identity))

    def where(self, table, **wanted):
        return sorted(identity for identity, row in self.rows[table].items()
                      if all(row[column] == value for column, value in wanted.items()))

    def mark(self, table, identities, how):
        found = [identity for identity in identities if identity in self.rows[table]]
        for identity in found:
            self.use((table, identity), how)
        return len(found)

    # ------------------------------------------------------------------ parents

    def need_parent(self, parent):
        if parent not in self.rows["p"]:
            raise Refused("23503")
        self.use(("p", parent), KEY_SHARE)

    def insert_parent(self, identity):
        if identity in self.rows["p"]:
            raise Refused("23505")
        self.put("p", identity, UPDATE, v=0, m=identity % 4)
        return 1

    def upsert_parent(self, identity):
        row = self.rows["p"].get(identity)
        if row is None:
            return self.insert_parent(identity)
        self.put("p", identity, NO_KEY_UPDATE, v=row["v"] + 1, m=row["m"])
        return 1

    def change_parents(self, identities, v=0, m=0):
        found = [identity for identity in identities if identity in self.rows["p"]]
        for identity in found:
            row = self.rows["p"][identity]
            self.put("p", identity, NO_KEY_UPDATE, v=row["v"] + v, m=row["m"] + m)
        return len(found)

    def delete_parent(self, identity):
        if identity not in self.rows["p"]:
            return 0
        self.remove("p", identity)
        for kid in self.where("kc", p=identity):
            self.remove("kc", kid)
        for kid in self.where("kd", p=identity):
            if identity == 0:
                raise Refused("23503")
            self.put("kd", kid, NO_KEY_UPDATE, p=0, w=self.rows["kd"][kid]["w"])
            self.need_parent(0)
        if self.where("kn", p=identity):
            raise Refused("23503")
        return 1

    def rename_parent(self, old, new):
        row = self.rows["p"].get(old)
        if row is None:
            return 0
        if new in self.rows["p"]:
            raise Refused("23505")
        self.remove("p", old)
        self.put("p", new, UPDATE, **row)
        for kid in self.where("kc", p=old):
            self.put("kc", kid, NO_KEY_UPDATE, p=new, w=self.rows["kc"][kid]["w"])
        if self.where("kd", p=old) or self.where("kn", p=old):
            raise Refused("23503")
        return 1

    # ------------------------------------------------------------------ children

    def insert_kid(self, table, identity, parent):
        if identity in self.rows[table]:
            raise Refused("23505")
        self.put(table, identity, UPDATE, p=parent, w=0)
        self.name_parent(table, identity, parent)
        return 1

    def name_parent(self, table, identity, parent):
        if table == "kx":
            self.deferred.add(identity)
        else:
            self.need_parent(parent)

    def move_kids(self, table, identities, parent):
        found = [identity for identity in identities if identity in self.rows[table]]
        for identity in found:
            row = self.rows[table][identity]
            self.put(table, identity, NO_KEY_UPDATE, p=parent, w=row["w"])
            if row["p"] != parent:
                self.name_parent(table, identity, parent)
        return len(found)

    def count_kid(self, table, identity):
        row = self.rows[table].get(identity)
        if row is None:
            return 0
        self.put(table, identity, NO_KEY_UPDATE, p=row["p"], w=row["w"] + 1)
        return 1

    def delete_rows(self, table, identities):
        found = [identity for identity in identities if identity in self.rows[table]]
        for identity in found:
            self.remove(table, identity)
        return len(found)

    # ------------------------------------------------------------------ rows without a primary key

    def use_row(self, row_number, how, of_key=False):
        """By the first unique key that has no null; without one by its place, and then every change is one of the key."""
        row = self.rows["o"][row_number]
        named = [(column, row[column]) for column in ("k", "z") if row[column] is not None]
        if named:
            self.use(("o", *named[0]), UPDATE if of_key else how)
        else:
            self.use(("o", row_number), UPDATE if how == NO_KEY_UPDATE else how)

    def enter_keys(self, row_number, before, after):
        for other, row in self.rows["o"].items():
            if other != row_number and (row["z"] == after["z"] or (after["k"] is not None and row["k"] == after["k"])):
                raise Refused("23505")
        if after["k"] is not None and (before is None or before["k"] != after["k"]):
            self.use(("o", "k", after["k"]), UPDATE)
        if before is None or before["z"] != after["z"]:
            self.use(("o", "z", after["z"]), UPDATE)

    def insert_plain(self, k, z):
        row = {"k": k, "z": z, "v": 0}
        self.enter_keys(None, None, row)
        self.database.row_count += 1
        self.rows["o"][self.database.row_count] = row
        self.changed.add(("o", self.database.row_count))
        return 1

    def change_plain(self, row_numbers, **columns):
        for number in row_numbers:
            before = self.rows["o"][number]
            after = before | columns
            if "v" in columns:
                after["v"] = before["v"] + columns["v"]
            self.enter_keys(number, before, after)
            self.use_row(number, NO_KEY_UPDATE, of_key=(before["k"], before["z"]) != (after["k"], after["z"]))
            self.rows["o"][number] = after
            self.changed.add(("o", number))
        return len(row_numbers)

    def delete_plain(self, row_numbers):
        for number in row_numbers:
            self.use_row(number, UPDATE)
            del self.rows["o"][number]
            self.changed.add(("o", number))
        return len(row_numbers)

    def mark_plain(self, row_numbers, how):
        for number in row_numbers:
            # A mark is in its own class, by whatever the row is called.
            row = self.rows["o"][number]
            named = [(column, row[column]) for column in ("k", "z") if row[column] is not None]
            self.use(("o", *named[0]) if named else ("o", number), how)
        return len(row_numbers)

    # ------------------------------------------------------------------ unique values

    def enter_unique(self, identity, before, after):
        for other, row in self.rows["u"].items():
            if other == identity:
                continue
            if after["n"] is not None and row["n"] == after["n"]:
                raise Refused("23505")
            if folded(after) is not None and folded(row) == folded(after):
                raise Refused("23505")
        if after["n"] is not None and (before is None or before["n"] != after["n"]):
            self.use(("u.n", after["n"]), UPDATE)
        if folded(after) is not None and (before is None or folded(before) != folded(after)):
            self.use(("u.c", folded(after)), UPDATE)

    def insert_unique(self, identity, n, c, active):
        if identity in self.rows["u"]:
            raise Refused("23505")
        row = {"n": n, "c": c, "active": active}
        self.enter_unique(identity, None, row)
        self.put("u", identity, UPDATE, **row)
        return 1

    def change_unique(self, identity, **columns):
        before = self.rows["u"].get(identity)
        if before is None:
            return 0
        after = before | columns
        self.enter_unique(identity, before, after)
        # A column of a plain unique index is a key column; one of a partial index or of an expression is none.
        self.put("u", identity, NO_KEY_UPDATE if same_notation(before["n"], after["n"]) else UPDATE, **after)
        return 1


def as_rows(rows, table):
    named = table != "o"
    return sorted(((*([identity] if named else []), *(row[column] for column in COLUMNS[table]))
                   for identity, row in rows[table].items()), key=repr)


def normalized(rows):
    return sorted((tuple(Decimal(value) if isinstance(value, Decimal) else value for value in row) for row in rows), key=repr)
