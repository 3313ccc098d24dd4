"""Writers whose every acknowledged transaction can be looked for afterwards.

Writer w's transaction n inserts row (w, n), counts itself in counters, moves an indexed value, and now and then deletes an
old row and fights for the one row that all want. A writer that loses its connection does not know how its last COMMIT
ended; it reads its counter and goes on from there.
"""
import collections
import threading
import time

import psycopg

SCHEMA = """
CREATE TABLE entries (id bigint PRIMARY KEY, writer int NOT NULL, n int NOT NULL);
CREATE INDEX ON entries (writer);
CREATE TABLE counters (writer int PRIMARY KEY, n int NOT NULL, moving int NOT NULL);
CREATE INDEX ON counters (moving);
CREATE TABLE hot (id int PRIMARY KEY, n bigint NOT NULL);
INSERT INTO hot VALUES (1, 0);
ALTER TABLE entries OWNER TO admin;
ALTER TABLE counters OWNER TO admin;
ALTER TABLE hot OWNER TO admin;
"""
DELETE_AFTER = 5  # transaction n, if n is divisible by it, deletes entry n - DELETE_AFTER
STRIDE = 10_000_000


class Writers:
    def __init__(self, connect, count=8):
        self.connect = connect  # gives a fresh connection as admin, or raises psycopg.OperationalError
        self.acknowledged = [0] * count
        self.hot_acknowledged = [0] * count
        self.hot_unknown = [0] * count
        self.conflicts = [0] * count
        self.lost_connections = 0
        self.sqlstates = collections.Counter()  # of the errors that ended a connection or a transaction
        self.errors = []
        self._stop = threading.Event()
        self._threads = []

    def __enter__(self):
        """Also once more, after they have stopped: they go on where they were."""
        self._stop.clear()
        self._threads = [threading.Thread(target=self._run, args=(w,)) for w in range(len(self.acknowledged))]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
        assert not any(thread.is_alive() for thread in self._threads), "a writer waits for ever"

    def total(self):
        return sum(self.acknowledged)

    def wait_for_more(self, count, timeout=60):
        """Until `count` more transactions were acknowledged, and every writer had at least one of them."""
        before = list(self.acknowledged)
        deadline = time.monotonic() + timeout
        while self.total() - sum(before) < count or any(a <= b for a, b in zip(self.acknowledged, before)):
            assert not self.errors, self.errors[0]
            assert time.monotonic() < deadline, f"only {self.total() - sum(before)} of {count} in {timeout} s"
            time.sleep(0.005)

    def _run(self, w):
        try:
            while not self._stop.is_set():
                try:
                    with self.connect() as connection:
                        self._resume(connection, w)
                        while not self._stop.is_set():
                            self._transaction(connection, w)
                except (psycopg.OperationalError, psycopg.InternalError) as error:
                    # XX000 is how the router says that a transaction's outcome is not known.
                    unknown = error.sqlstate == "XX000" and "server unavailable" in str(error)
                    if error.sqlstate == "40001" or (error.sqlstate == "XX000" and not unknown):
                        raise
                    self.sqlstates[error.sqlstate] += 1
                    self.lost_connections += 1
                    time.sleep(0.02)
        except BaseException as error:  # noqa: BLE001: whatever it is, the test must hear of it
            self.errors.append(error)

    def _resume(self, connection, w):
        """After a lost connection: what the counter says has happened; nobody else moves it."""
        row = connection.execute("SELECT n FROM counters WHERE writer = %s", (w,)).fetchone()
        found = row[0] if row else 0
        connection.rollback()
        self._learn(w, found)

    def _learn(self, w, found):
        if found < self.acknowledged[w]:
            raise AssertionError(f"writer {w}: {self.acknowledged[w]} acknowledged, the counter says {found}")
        if found > self.acknowledged[w] + 1:
            raise AssertionError(f"writer {w}: one transaction was under way, {found - self.acknowledged[w]} are there")
        if found > self.acknowledged[w]:
            self.hot_acknowledged[w] += self.hot_unknown[w]
        self.hot_unknown[w] = 0
        self.acknowledged[w] = found

    def settle(self, owner):
        """After they have stopped: what became of the transactions whose answers were lost."""
        counters = dict(owner.execute("SELECT writer, n FROM counters").fetchall())
        for w in range(len(self.acknowledged)):
            self._learn(w, counters.get(w, 0))

    def _transaction(self, connection, w):
        n = self.acknowledged[w] + 1
        hot = n % 4 == 0
        try:
            connection.execute("INSERT INTO entries VALUES (%s, %s, %s)", (w * STRIDE + n, w, n))
            if n == 1:
                connection.execute("INSERT INTO counters VALUES (%s, 1, 0)", (w,))
            else:
                connection.execute("UPDATE counters SET n = n + 1, moving = %s WHERE writer = %s", (n % 97, w))
            if n % DELETE_AFTER == 0 and n > DELETE_AFTER:
                connection.execute("DELETE FROM entries WHERE id = %s", (w * STRIDE + n - DELETE_AFTER,))
            if hot:
                connection.execute("UPDATE hot SET n = n + 1 WHERE id = 1")
                self.hot_unknown[w] = 1
            connection.commit()
        except psycopg.errors.SerializationFailure:
            connection.rollback()
            self.conflicts[w] += 1
            self.hot_unknown[w] = 0
            return
        self.acknowledged[w] = n
        if hot:
            self.hot_acknowledged[w] += 1
            self.hot_unknown[w] = 0


def check(owner, writers):
    """Every acknowledged transaction is there, once and whole, and no other. The writers have stopped."""
    writers.settle(owner)
    counters = dict(owner.execute("SELECT writer, n FROM counters").fetchall())
    entries = {}
    for writer, n in owner.execute("SELECT writer, n FROM entries").fetchall():
        entries.setdefault(writer, []).append(n)
    for w, acknowledged in enumerate(writers.acknowledged):
        n = counters.get(w, 0)
        assert acknowledged == n, f"writer {w}: {acknowledged} acknowledged, {n} there"
        deleted = {k - DELETE_AFTER for k in range(DELETE_AFTER * 2, n + 1, DELETE_AFTER)}
        assert sorted(entries.get(w, [])) == [k for k in range(1, n + 1) if k not in deleted], f"writer {w}"


def check_hot(owner, writers):
    """No update of the contended row was lost or done twice, or is there without the rest of its transaction."""
    writers.settle(owner)
    (n,) = owner.execute("SELECT n FROM hot").fetchone()
    acknowledged = sum(writers.hot_acknowledged)
    assert n == acknowledged, f"hot row {n}, acknowledged {acknowledged}"


def check_no_duplicates(owner):
    """Keys counted by sequential scans: an index that lost an entry cannot hide a second row."""
    owner.execute("SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off")
    for table, key in (("entries", "id"), ("counters", "writer"), ("hot", "id")):
        twice = owner.execute(f"SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1").fetchall()
        assert not twice, f"{table}: {twice[:5]} are there more than once"
    owner.execute("RESET enable_indexscan; RESET enable_indexonlyscan; RESET enable_bitmapscan")


def check_heap_agreed(owner):
    """Since the server's start the heap never disagreed with a verdict."""
    failures = owner.execute("SELECT apply_failures FROM sys.commit_stats()").fetchone()
    assert failures == (0,)


def check_indexes(owner):
    """amcheck of every btree of a user's table, with each heap tuple looked up in it. Gives their number."""
    owner.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
    rows = owner.execute("""
        SELECT bt_index_check(i.indexrelid, true) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
        JOIN pg_class t ON t.oid = i.indrelid JOIN pg_am a ON a.oid = x.relam
        WHERE a.amname = 'btree' AND t.relnamespace = 'public'::regnamespace""").fetchall()
    return len(rows)
