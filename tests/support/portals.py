"""A driver with fetch sizes: portals that are read in portions, on a scratch server."""
import socket
import struct

from router.raw_client import RawClient, message, startup
from support.scratch_server import PORT


class Portals(RawClient):
    """A session of which a driver would use fetch sizes."""

    def __init__(self, server):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(f"{server.folder}/.s.PGSQL.{PORT}")
        self.send(startup(user="admin", database="postgres"))
        self.receive_until("Z")

    def answers(self):
        got = self.receive_until("Z")
        errors = [body for kind, body in got if kind == "E"]
        assert not errors, errors
        rows = []
        for kind, body in got:
            if kind == "D":
                at, row = 2, []
                for _ in range(struct.unpack("!H", body[:2])[0]):
                    size, = struct.unpack("!i", body[at:at + 4])
                    row.append(body[at + 4:at + 4 + size].decode() if size >= 0 else None)
                    at += 4 + max(size, 0)
                rows.append(tuple(row))
        return rows

    def say(self, sql):
        self.send(message("Q", sql.encode() + b"\0"))
        return self.answers()

    def open(self, portal, sql):
        name = portal.encode() + b"\0"
        self.send(message("P", name + sql.encode() + b"\0\0\0") + message("B", name + name + b"\0\0" * 3) + message("S"))
        return self.answers()

    def fetch(self, portal, count):
        self.send(message("E", portal.encode() + b"\0" + struct.pack("!I", count)) + message("S"))
        return self.answers()
