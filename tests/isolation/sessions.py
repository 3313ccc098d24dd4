"""What the programs of this folder share: sessions that answer by SQLSTATE, waits as the server itself measured them, and
interleavings.
"""
import itertools
import re

import psycopg

from support.scratch_server import ScratchServer
from support.stopwatch import Stopwatch

# The service's own bound for a wait behind another session's schema change.
WAIT_MS_MAX = 50
# On the wall, less what the machine kept a session from running.
WALL_MS_MAX = 250
# Of a timer that rings at the bound, and of who is woken by it.
LATENESS_MS = 15

SETTINGS = {"statement_timeout": "4s", "lock_timeout": "50ms",
            # Every wait of a millisecond is logged, with its length.
            "deadlock_timeout": "1ms", "log_lock_waits": "on", "log_line_prefix": "%m [%p] "}


class Waits:
    """Reads from the server's log how long statements waited for locks."""

    LINE = re.compile(r"^\S+ (\d+):(\d+):([\d.]+) \S+ \[(\d+)\] (\w+):  (.*)$")

    def __init__(self, server: ScratchServer):
        self.path = server.folder / "log"
        self.offset = self.path.stat().st_size
        self.open = {}  # pid: since when, in ms of the day

    def take(self) -> float:
        """The longest wait since the last call, in milliseconds; 0 if there was none."""
        longest = 0.0
        with open(self.path) as log:
            log.seek(self.offset)
            text = log.read()
            self.offset = log.tell()
        for line in text.splitlines():
            match = self.LINE.match(line)
            if not match:
                continue
            hours, minutes, seconds, pid, level, said = match.groups()
            now = (int(hours) * 60 + int(minutes)) * 60_000 + float(seconds) * 1000
            waits = re.search(r"still waiting for .* after ([\d.]+) ms", said)
            if waits:
                self.open.setdefault(pid, now - float(waits[1]))
            elif pid in self.open and (level in ("ERROR", "FATAL") or "acquired" in said):
                longest = max(longest, now - self.open.pop(pid))
        return longest


class Answer:
    """What a statement said, after how long (see Stopwatch)."""

    def __init__(self, state, text, rows, stopwatch):
        self.state, self.text, self.rows = state, text, rows
        self.wall_ms, self.kept_ms = stopwatch.stop()

    def __repr__(self):
        return f"{self.state} {self.text}" if self.state else f"ok {self.rows or ''}"


def ask(connection, sql) -> Answer:
    stopwatch = Stopwatch(connection)
    state = text = rows = None
    try:
        cursor = connection.execute(sql)
        rows = cursor.fetchall() if cursor.description else None
    except psycopg.Error as error:
        state, text = error.sqlstate, str(error)
    return Answer(state, text, rows, stopwatch)


def check_wait(answer: Answer, waits: Waits, where: str, bound_ms: float = WAIT_MS_MAX) -> None:
    """The server's own figure is the promise; a timer that rings at the bound still has to get a processor. The clock on
    the wall would show any other wait."""
    waited = waits.take()
    lateness_ms = LATENESS_MS + answer.kept_ms if bound_ms > 0 else 0
    assert waited <= bound_ms + lateness_ms, f"{where}: waited {waited:.1f} ms for a lock"
    assert answer.wall_ms - answer.kept_ms <= WALL_MS_MAX, \
        f"{where}: took {answer.wall_ms:.0f} ms, kept from running for {answer.kept_ms:.0f} ms of them"


def interleavings(a: list, b: list):
    """All orders of the steps of A and B that keep each side's own order: lists of ("A" or "B", step)."""
    for places in itertools.combinations(range(len(a) + len(b)), len(a)):
        of_a, of_b = iter(a), iter(b)
        yield [("A", next(of_a)) if n in places else ("B", next(of_b)) for n in range(len(a) + len(b))]
