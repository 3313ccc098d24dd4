"""A private cluster whose disk can lose what was not synced, and whose processes can be ended at named places.

    with LayeredCluster(folder) as layered:
        layered.arm("after_verdict", KILL_ITSELF)      # the next who comes there ends
        layered.power_cut(seed)                        # everything ends at once, what was not synced is gone; serves again

The server is the product's with the module that has stop points, under the preloaded library of tests/crash/file_layer.
"""
import json
import mmap
import os
import pathlib
import shutil
import signal
import struct
import subprocess

import psycopg

from support.private_cluster import ID, OWNER, PrivateClusters, processes_in
from support.waiting import wait_until
from support.scratch_server import build_folder

KILL_ITSELF, KILL_SERVER, STAND_STILL, FAIL_ONCE, FAIL_UNTIL_DISARMED = range(1, 6)  # file_layer/control.h
_FIELDS = struct.Struct("64s5i")


class Control:
    """The file by which a place is armed: file_layer/control.h."""

    def __init__(self, path):
        path.write_bytes(bytes(_FIELDS.size))
        path.chmod(0o666)
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), _FIELDS.size)

    def _set(self, index, value):
        struct.pack_into("i", self.memory, 64 + 4 * index, value)

    def _get(self, index):
        return struct.unpack_from("i", self.memory, 64 + 4 * index)[0]

    def arm(self, place, action, countdown):
        self.disarm()
        self.memory[:64] = place.encode().ljust(64, b"\0")
        for index, value in enumerate((action, countdown, 0, 0, 0)):
            self._set(index, value)
        self._set(2, 1)

    def disarm(self):
        self._set(2, 0)

    @property
    def armed(self):
        return self._get(2)

    @property
    def reached(self):
        return self._get(3)

    @property
    def pid(self):
        return self._get(4)


class LayeredCluster:
    def __init__(self, place, settings=None):
        self.place = pathlib.Path(place)
        self.control = Control(self.place / "control")
        self.shadow = self.place / "shadow"
        preload = self.place / "zorya_file_layer.so"  # a copy: the server's user may not reach the build
        planted = build_folder() / "lib" / "planted"
        shutil.copy(planted / "zorya_file_layer.so", preload)
        library = self.place / "library"
        shutil.copytree(build_folder() / "lib" / "zorya", library)
        shutil.copy(planted / "zorya_query_processor.so", library)
        data = self.place / "data"
        with PrivateClusters(data, owner_door=True, library=library):
            pass
        self.folder = pathlib.Path(os.path.realpath(data / "clusters" / ID / "data"))
        self._tool("begin")
        self.clusters = PrivateClusters(data, owner_door=True, library=library, settings=settings, environment={
            "LD_PRELOAD": preload, "ZORYA_LAYER_CONTROL": self.place / "control", "ZORYA_LAYER_FOLDER": self.folder,
            "ZORYA_LAYER_SHADOW": self.shadow,
            # Else the statement itself fills the index of a small table, and its job passes few places.
            "ZORYA_PLANT": "no_small_fill"})

    def __enter__(self):
        self.clusters.start()
        self.socket_folder = self.clusters.info()["socket_folder"]
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print("".join(self.server_log().splitlines(keepends=True)[-40:]))
        if self.clusters.process:
            self._kill_everything()

    def _tool(self, verb, *more):
        done = subprocess.run([str(build_folder() / "bin" / "zorya_file_layer"), verb, str(self.folder), str(self.shadow),
                               *map(str, more)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def server_log(self):
        log = self.folder.parent / "server.log"
        return log.read_text() if log.exists() else ""

    def connect(self, user="admin", **options):
        connection = psycopg.connect(host=self.socket_folder, port=5432, user=user, dbname="postgres", connect_timeout=10,
                                     **options)
        connection.prepare_threshold = None
        return connection

    def owner(self, timeout=60):
        """The superuser's session, once the server has recovered."""
        def attempt():
            try:
                return self.connect(OWNER, autocommit=True)
            except psycopg.OperationalError:
                return None
        return wait_until(attempt, timeout=timeout, what="recovery")

    def arm(self, place, action, countdown=1):
        self.control.arm(place, action, countdown)

    def wait_until_reached(self, timeout=60):
        wait_until(lambda: self.control.reached, timeout=timeout, what=f"somebody at {bytes(self.control.memory[:64])}")

    def postmaster(self):
        return int((self.folder / "postmaster.pid").read_text().split()[0])

    def _kill_everything(self):
        """Who would start it again first; then all of it, those that stand still as well."""
        tool = self.clusters.process
        tool.send_signal(signal.SIGSTOP)
        while pids := processes_in(self.folder):
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.clusters.kill()

    def kill_everything(self):
        """kill -9 of everything at once; what was written is there. Serves again afterwards."""
        self._kill_everything()
        self.clusters.start()

    def power_cut(self, seed, some=False):
        """The same, and what was not synced is lost, with `some` only a part of it. Gives what was lost."""
        self._kill_everything()
        lost = self._tool("cut", seed, *(["--some"] if some else []))
        self.clusters.start()
        return lost
