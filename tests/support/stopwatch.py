"""A clock that tells waits from a machine that is busy."""
import os
import time


class Stopwatch:
    """How long sessions took to answer, on the wall, and how much of that the machine kept them from running, busy as it
    may be with others: this thread and the backends were ready and had no processor, or the machine waited for its disk or
    its host. What is left is work, or a wait for somebody: a busy machine hides no wait. The sessions take turns."""

    def __init__(self, *connections):
        self.places = ["/proc/thread-self/schedstat"]
        self.places += [f"/proc/{connection.info.backend_pid}/schedstat" for connection in connections]
        self.kept, self.start = [self._queued_ms(place) for place in self.places] + self._machine_ms(), time.monotonic()

    def stop(self) -> tuple[float, float]:
        """Milliseconds on the wall, and of those that it was kept. Nothing is known of a backend that is gone."""
        wall_ms = (time.monotonic() - self.start) * 1000
        now = [self._queued_ms(place) for place in self.places] + self._machine_ms()
        return wall_ms, min(wall_ms, sum(max(0, b - a) for a, b in zip(self.kept, now)))

    @staticmethod
    def _queued_ms(place) -> float:
        try:
            with open(place) as file:
                return int(file.read().split()[1]) / 1e6
        except OSError:
            return 0

    @staticmethod
    def _machine_ms() -> list[float]:
        with open("/proc/stat") as file:
            stolen = int(file.readline().split()[8]) * 1000 / os.sysconf("SC_CLK_TCK")
        try:
            with open("/proc/pressure/io") as file:
                return [stolen, int(file.readline().rpartition("total=")[2]) / 1000]
        except OSError:  # a kernel that does not tell
            return [stolen, 0]
