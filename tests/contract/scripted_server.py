# SPDX-License-Identifier: Apache-2.0
"""A server on loopback that answers what a test tells it to, byte by byte: what no healthy Glance does."""
from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

REQUEST_ID = "req-00000000-0000-4000-8000-000000000000"


class Exchange:
    """One connection whose request's head was read."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.input: BinaryIO = connection.makefile("rb")
        self.request_line = self.input.readline().decode().strip()
        self.headers: dict[str, str] = {}
        while line := self.input.readline().strip():
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()

    @property
    def path(self) -> str:
        return self.request_line.split(" ")[1]

    def read_chunk(self) -> bytes:
        """The next chunk of a chunked body, b"" for the terminating one."""
        size = int(self.input.readline(), 16)
        chunk = self.input.read(size)
        self.input.readline()
        return chunk

    def answer(self, status: int, body: bytes = b"", *, length: int | None = None, **headers: str) -> None:
        """An answer with Content-Length (`length` where it shall lie), JSON and a request id unless named."""
        fields = {"Content-Type": "application/json", "x-openstack-request-id": REQUEST_ID,
                  "Content-Length": str(len(body) if length is None else length), "Connection": "close"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = f"HTTP/1.1 {status} Whatever\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items() if v)
        self.connection.sendall(head.encode() + b"\r\n" + body)


class ScriptedServer(socketserver.ThreadingTCPServer):
    """Runs `script` for each connection; `requests` are the first lines of those so far."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, script: Callable[[Exchange], None], tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.tls = tls
        self.requests: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.BaseRequestHandler):
    server: ScriptedServer

    def handle(self) -> None:
        tls = self.server.tls
        exchange = Exchange(tls.wrap_socket(self.request, server_side=True) if tls else self.request)
        self.server.requests.append(exchange.request_line)
        with suppress(ConnectionError, ValueError, ssl.SSLError):
            self.server.script(exchange)


@contextmanager
def serving(script: Callable[[Exchange], None], tls: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    """The server while the context lasts."""
    with ScriptedServer(script, tls) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
