# SPDX-License-Identifier: Apache-2.0
"""Serves WSGI on eventlet to clients that may mean ill. Called by the daemon.

eventlet's own protocol takes more than HTTP allows, waits for ever on a client that drips, and reads a refused body to
its end to keep a connection. This one refuses what two servers in a row could read differently, gives each request and
each answer a time, and closes the connection where much of a body was not wanted.
"""
from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from glancesync.access_log import AccessLog
from glancesync.clock import SystemClock
from glancesync.concurrency import Timeout, wsgi
from glancesync.framing import BoundedLines, HeaderLines, find_problem

#: A refused body of at most this much is read, so that the connection may go on; of a longer one nothing.
_DRAINED_BYTES = 64 * 1024
#: After an answer that closes the connection the client may finish its sentence, or it might not see the answer.
_LINGER_SECONDS = 1.0
_SLOWEST_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """What a client may take. Its headers, its body, and each MiB of an answer must pass within
    `socket_timeout_seconds` each; a connection may be idle for `keepalive_seconds` (0: one request per connection)."""

    socket_timeout_seconds: float = 60
    keepalive_seconds: float = 60
    max_header_line_bytes: int = 16384
    max_headers_bytes: int = 65536


def serve(listener: socket.socket, app: Callable[..., Any], *, pool: Any, log: logging.Logger,
          limits: ConnectionLimits) -> None:
    """Serve the WSGI app until the calling green thread is killed or the socket is closed, then wait for the requests.

    `pool` is a GreenPool: its size is the number of connections served at once. `log` gets a line for each request.
    """
    wsgi.MAX_HEADER_LINE = limits.max_header_line_bytes
    wsgi.MAX_TOTAL_HEADER_SIZE = limits.max_headers_bytes
    wsgi.server(listener, _settling(app), log=AccessLog(log), custom_pool=pool, debug=False,
                keepalive=limits.keepalive_seconds, socket_timeout=limits.socket_timeout_seconds,
                url_length_limit=limits.max_header_line_bytes, protocol=Protocol, log_x_forwarded_for=False)


def _settling(app: Callable[..., Any]) -> Callable[..., Iterable[bytes]]:
    """The app; before each answer the rest of the request's body is settled."""
    def settled(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(*arguments: Any) -> Any:
            environ["eventlet.input"].settle()
            return start_response(*arguments)

        answer: Iterable[bytes] = app(environ, start)
        return answer

    return settled


class Protocol(wsgi.HttpProtocol):  # type: ignore[misc]
    """One connection."""

    rfile: Any
    wfile: Any
    server_version = "glance-sync"
    sys_version = ""
    #: Set when the client still sends what nobody reads.
    unread = False

    def setup(self) -> None:
        super().setup()
        self.wfile = _TimedWriter(self.wfile, self.connection, self._seconds)

    def parse_request(self) -> bool:
        """Request line and headers; what is no HTTP/1.1 to the letter is answered with 400 and the connection ends."""
        lines = self.rfile = HeaderLines(self.rfile)
        with Timeout(self._seconds, TimeoutError("the headers took too long")):
            parsed = bool(super().parse_request())
        problem = lines.problem or find_problem(self.headers, self.request_version) if parsed else None
        if problem:
            self.send_error(400, problem)
        return parsed and not problem

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        found = environ["eventlet.input"]
        body = _Body(BoundedLines(self.rfile), found.content_length, self.connection, wfile=found.wfile,
                     wfile_line=found.wfile_line, chunked_input=found.chunked_input)
        body.attach(self, self._seconds)
        environ["eventlet.input"] = environ["wsgi.input"] = body
        return environ

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """As the API shows its errors. `explain` is for pages."""
        text = message or "This is not a request."
        self.request_version = "HTTP/1.1"  # until it is known it stands at 0.9, which has no status line
        body = json.dumps({"error": {"code": "invalid_input", "message": text, "request_id": None}}).encode()
        self.send_response(code)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body))),
                            ("Connection", "close"), ("X-Content-Type-Options", "nosniff")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Nothing: the request's own line is written by the server."""

    def finish(self) -> None:
        if self.unread:
            self._linger()
        super().finish()

    def _read_request_line(self) -> bytes:
        """Empty when the client has nothing more to say."""
        with Timeout(self.server.keepalive or self._seconds, TimeoutError("the request line took too long")):
            line: bytes = super()._read_request_line()
        return line

    def _linger(self) -> None:
        try:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            with Timeout(_LINGER_SECONDS, False):
                while self.connection.recv(65536):
                    pass
        except OSError:
            self.close_connection = True  # the client is gone: that is what was waited for

    @property
    def _seconds(self) -> float:
        return float(self.server.socket_timeout)


class _Body(wsgi.Input):  # type: ignore[misc]
    """A request's body, with a time in which all of it has to arrive."""

    def attach(self, protocol: Protocol, seconds: float) -> None:
        self._protocol = protocol
        self._seconds = seconds
        self._clock = SystemClock()
        self._end: float | None = None
        self._broken = False

    def read(self, length: int | None = None) -> bytes:
        """Raises TimeoutError, OSError, ValueError (a chunk that is none)."""
        if self._end is None:
            self._end = self._clock.monotonic() + self._seconds
        self._broken = True  # until this read has come back
        with Timeout(max(0.001, self._end - self._clock.monotonic()), TimeoutError("the body took too long")):
            data: bytes = super().read(length)
        self._broken = False
        return data

    def settle(self) -> None:
        """Decide, before the answer, what becomes of a body that was not read."""
        if self.chunked_input:
            wanted = not self._broken and self.chunk_length == 0
        else:
            wanted = not self._broken and self.content_length - self.position <= _DRAINED_BYTES
        if not wanted:
            self._protocol.close_connection = True
            self._protocol.unread = True


class _TimedWriter:
    """A connection's writing end, for a client that reads too slowly or not at all."""

    def __init__(self, stream: Any, connection: Any, seconds: float) -> None:
        self._stream = stream
        self._connection = connection
        self._seconds = seconds
        self._pending = 0

    @property
    def closed(self) -> bool:
        return bool(self._stream.closed)

    def write(self, data: bytes) -> None:
        self.writelines([data])

    def writelines(self, pieces: list[bytes]) -> None:
        self._pending += sum(map(len, pieces))
        self._timed(self._stream.writelines, pieces)

    def flush(self) -> None:
        self._timed(self._stream.flush)
        self._pending = 0

    def close(self) -> None:
        self._timed(self._stream.close)

    def _timed(self, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            seconds = self._seconds * (1 + self._pending // _SLOWEST_BYTES)
            with Timeout(seconds, TimeoutError("the answer took too long")):
                function(*arguments)
        except TimeoutError:
            wsgi.greenio.shutdown_safe(self._connection)  # what is still buffered fails at once now
            raise
