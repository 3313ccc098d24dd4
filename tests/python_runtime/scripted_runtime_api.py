"""A Runtime API that plays a script: hands out given invocations and keeps what the runtime answers."""

import socket
import threading


class Request:
    def __init__(self, method, path, headers, body, connection):
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.connection = connection  # number of the connection it came on


class ScriptedRuntimeApi:
    """`invocations`: (headers, body) pairs, handed out in order; `next` after the last one is never answered.
    `reply_close`: answer each call with Connection: close, as some servers do."""

    def __init__(self, invocations, reply_close=False, result_status=202, restore_status=200):
        self._invocations = list(invocations)
        self._reply_close = reply_close
        self._result_status = result_status
        self._restore_status = restore_status
        self._next_index = 0
        self._lock = threading.Lock()
        self.requests = []
        self.idle = threading.Event()  # set when the runtime waits and nothing is left to hand out
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        # shutdown wakes the accept that close alone would leave waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def of(self, suffix):
        return [r for r in self.requests if r.path.endswith(suffix)]

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            # Two answers to two calls in one piece must not wait for each other.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections += 1
            threading.Thread(target=self._serve, args=(connection, self._connections), daemon=True).start()

    def _serve(self, connection, number):
        stream = connection.makefile("rb")
        try:
            while True:
                request = self._read(stream, number)
                if request is None:
                    return
                with self._lock:
                    self.requests.append(request)
                if not self._answer(connection, request) or self._reply_close:
                    return
        except OSError:
            pass
        finally:
            stream.close()
            connection.close()

    @staticmethod
    def _read(stream, number):
        line = stream.readline()
        if not line:
            return None
        method, path, _ = line.decode().split(" ", 2)
        headers = {}
        while True:
            line = stream.readline().strip()
            if not line:
                break
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
        return Request(method, path, headers, body, number)

    def _answer(self, connection, request):
        if request.path.endswith("/invocation/next"):
            with self._lock:
                index = self._next_index
                self._next_index += 1
            if index >= len(self._invocations):
                self.idle.set()
                connection.recv(1)  # until the runtime ends
                return False
            headers, body = self._invocations[index]
            self._send(connection, 200, dict({"Content-Type": "application/json"}, **headers), body)
        elif request.path.endswith("/restore/next"):
            self._send(connection, self._restore_status, {}, b"")
        elif request.path.endswith("/response"):
            self._send(connection, self._result_status, {}, b'{"status":"OK"}')
        else:
            self._send(connection, 202, {}, b'{"status":"OK"}')
        return True

    def _send(self, connection, status, headers, body):
        head = "HTTP/1.1 %d X\r\n" % status
        headers = dict(headers, **{"Content-Length": str(len(body))})
        if self._reply_close:
            headers["Connection"] = "close"
        head += "".join("%s: %s\r\n" % item for item in headers.items())
        connection.sendall(head.encode() + b"\r\n" + body)
