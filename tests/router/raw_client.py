"""PostgreSQL's protocol by hand, for what no driver would send."""
import socket
import ssl
import struct

SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSS_REQUEST = struct.pack("!II", 8, 80877104)


def message(kind: str, body: bytes = b"") -> bytes:
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def startup(**parameters) -> bytes:
    body = struct.pack("!I", 3 << 16)
    for name, value in parameters.items():
        body += name.encode() + b"\0" + value.encode() + b"\0"
    body += b"\0"
    return struct.pack("!I", len(body) + 4) + body


class RawClient:
    def __init__(self, port: int, timeout: float = 10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            some = self.socket.recv(size - len(data))
            if not some:
                raise EOFError(data)
            data += some
        return data

    def receive(self) -> tuple[str, bytes]:
        head = self.receive_exactly(5)
        return chr(head[0]), self.receive_exactly(struct.unpack("!I", head[1:])[0] - 4)

    def receive_until(self, kind: str) -> list[tuple[str, bytes]]:
        out = [self.receive()]
        while out[-1][0] != kind:
            out.append(self.receive())
        return out

    def receive_error(self) -> dict[str, str]:
        kind, body = self.receive()
        assert kind == "E", (kind, body)
        return {field[:1].decode(): field[1:].decode() for field in body.split(b"\0") if field}

    def at_end(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def start_tls(self, server_name: str | None, *, ask: bool = True, alpn: tuple[str, ...] = ()) -> None:
        if ask:
            self.send(SSL_REQUEST)
            assert self.receive_exactly(1) == b"S"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols(list(alpn))
        self.socket = context.wrap_socket(self.socket, server_hostname=server_name)

    def log_in(self, router, **parameters) -> None:
        self.start_tls(router.host)
        self.send(startup(user="admin", database="postgres", **parameters))
        assert self.receive() == ("R", b"\0\0\0\3")
        self.send(message("p", router.token().encode() + b"\0"))
        self.greeting = self.receive_until("Z")
