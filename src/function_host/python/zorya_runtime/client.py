"""Runtime API client on one raw, persistent connection.

http.client costs three times the CPU of this per invoke. Calls have no timeout: an environment may be frozen
for any time while `next` is open.
"""

import socket

_PREFIX = b"/2018-06-01/runtime/"
_HEAD_SIZE_BYTES_MAX = 1 << 20  # the service's limit for a request line and headers
_JOIN_SIZE_BYTES_MAX = 1 << 16  # a body up to this is copied to leave in one send


class RuntimeApiError(Exception):
    """The Runtime API refused a call, or its connection is gone."""


class Reply:
    __slots__ = ("status", "headers", "body")

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # names in lower case
        self.body = body


class RuntimeApi:
    """`pipelined`: send a result and the following `next` in one piece. Any right HTTP/1.1 server takes that."""

    def __init__(self, address, pipelined=False):
        host, _, port = address.rpartition(":")
        self._address = (host, int(port))
        self._host_line = b"Host: " + address.encode() + b"\r\n"
        self._next = b"GET " + _PREFIX + b"invocation/next HTTP/1.1\r\n" + self._host_line + b"\r\n"
        self._pipelined = pipelined
        self._socket = None
        self._buffer = bytearray()
        self._result_pending = False
        self._next_pending = False

    def next(self):
        """Waits for an invocation, as a Reply with the service's headers."""
        if self._result_pending:
            self._result_pending = False
            self._check_result(self._read_reply())
        if not self._next_pending:
            self._send(self._next)
        self._next_pending = False
        reply = self._read_next()
        if reply.status != 200:
            raise RuntimeApiError("next: status %d: %r" % (reply.status, bytes(reply.body[:200])))
        return reply

    def post_result(self, request_id, body, content_type, invocation_id=None):
        self._post_outcome(request_id, b"response", body, content_type, invocation_id, b"")

    def post_error(self, request_id, body, xray_cause, invocation_id=None):
        extra = b""
        if xray_cause and len(xray_cause) <= 64 * 1024:
            extra = b"Lambda-Runtime-Function-XRay-Error-Cause: " + xray_cause + b"\r\n"
        self._post_outcome(request_id, b"error", body, b"application/json", invocation_id, extra)

    def post_init_error(self, body, error_type):
        self._post_once(b"init/error", body, error_type)

    def post_restore_error(self, body, error_type):
        self._post_once(b"restore/error", body, error_type)

    def restore_next(self):
        """Blocks across the snapshot: returns in each restored environment. On a connection of its own, for
        none survives."""
        self._send(b"GET " + _PREFIX + b"restore/next HTTP/1.1\r\n" + self._host_line + b"\r\n")
        reply = self._read_reply()
        self.close()
        if reply.status != 200:
            raise RuntimeApiError("restore/next: status %d" % reply.status)

    def close(self):
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._buffer.clear()
        self._result_pending = self._next_pending = False

    def _post_outcome(self, request_id, what, body, content_type, invocation_id, extra):
        head = b"".join((
            b"POST ", _PREFIX, b"invocation/", request_id.encode(), b"/", what, b" HTTP/1.1\r\n", self._host_line,
            b"Content-Type: ", content_type, b"\r\nContent-Length: ", str(len(body)).encode(), b"\r\n",
            b"Lambda-Runtime-Invocation-Id: " + invocation_id.encode() + b"\r\n" if invocation_id else b"",
            extra, b"\r\n"))
        tail = self._next if self._pipelined else b""
        if len(body) <= _JOIN_SIZE_BYTES_MAX:
            self._send(head + body + tail)
        else:
            for part in (head, body, tail):
                if part:
                    self._send(part)
        self._result_pending = True
        self._next_pending = self._pipelined

    def _post_once(self, what, body, error_type):
        self._send(b"".join((
            b"POST ", _PREFIX, what, b" HTTP/1.1\r\n", self._host_line,
            b"Content-Type: application/json\r\nContent-Length: ", str(len(body)).encode(), b"\r\n",
            b"Lambda-Runtime-Function-Error-Type: ", error_type.encode(), b"\r\n\r\n", body)))
        reply = self._read_reply()
        if reply.status != 202:
            raise RuntimeApiError("%s: status %d" % (what.decode(), reply.status))

    @staticmethod
    def _check_result(reply):
        # 413 is the function's fault and is told to the caller; the environment goes on.
        if reply.status >= 500 or reply.status == 403:
            raise RuntimeApiError("result: status %d: %r" % (reply.status, bytes(reply.body[:200])))

    def _send(self, data):
        if self._socket is None:
            self._socket = socket.create_connection(self._address)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(data)

    def _read_next(self):
        try:
            return self._read_reply()
        except ConnectionError:
            # The server closed an idle connection; `next` changes nothing, so it may be asked again.
            self.close()
            self._send(self._next)
            return self._read_reply()

    def _receive(self):
        data = self._socket.recv(1 << 16)  # above malloc's own threshold each call would map and unmap
        if not data:
            raise ConnectionResetError("the Runtime API closed the connection")
        self._buffer += data

    def _read_until(self, mark):
        start = 0
        while True:
            at = self._buffer.find(mark, start)
            if at >= 0:
                break
            if len(self._buffer) > _HEAD_SIZE_BYTES_MAX:
                raise RuntimeApiError("a header of more than %d bytes" % _HEAD_SIZE_BYTES_MAX)
            start = max(0, len(self._buffer) - len(mark))
            self._receive()
        found = bytes(self._buffer[:at])
        del self._buffer[:at + len(mark)]
        return found

    def _read_exactly(self, size_bytes):
        while len(self._buffer) < size_bytes:
            self._receive()
        body = bytes(self._buffer[:size_bytes])
        del self._buffer[:size_bytes]
        return body

    def _read_reply(self):
        lines = self._read_until(b"\r\n\r\n").decode("utf-8", "surrogateescape").split("\r\n")
        status = int(lines[0].split(" ", 2)[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._read_chunks()
        else:
            body = self._read_exactly(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            self._socket.close()
            self._socket = None
            self._next_pending = False
        return Reply(status, headers, body)

    def _read_chunks(self):
        parts = []
        while True:
            size_bytes = int(self._read_until(b"\r\n").split(b";")[0], 16)
            if size_bytes == 0:
                while self._read_until(b"\r\n"):
                    pass
                return b"".join(parts)
            parts.append(self._read_exactly(size_bytes))
            self._read_exactly(2)
