# SPDX-License-Identifier: Apache-2.0
"""Bytes that no honest client sends, to a real server process: what is refused, when, and that the process goes on."""
from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.polling import eventually
from tests.unit.api.fakes import CALLERS, OWN_IMAGE

ROOT = Path(__file__).parents[2]
CLIENT_SECONDS = 1.0
LIMIT_BYTES = 1024 * 1024
ADMIN = json.dumps(CALLERS["admin"])
GET = "GET /healthcheck HTTP/1.1\r\nHost: sync\r\n"


class ApiProcess:
    """The process that serves, and connections to it."""

    def __init__(self, address: tuple[str, int], popen: subprocess.Popen[str], log_path: Path) -> None:
        self.address = address
        self.popen = popen
        self.log_path = log_path

    def rss_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.popen.pid}/statm").read_text().split()[1])
        return pages * 4096

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=15)

    def exchange(self, data: bytes | str, *, end: bool = False) -> bytes:
        """What comes back until the server closes; `end` tells it that nothing more comes."""
        with closing(self.connect()) as connection:
            connection.sendall(data.encode("latin-1") if isinstance(data, str) else data)
            if end:
                connection.shutdown(socket.SHUT_WR)
            return _until_closed(connection)


def _until_closed(connection: socket.socket) -> bytes:
    answer = b""
    try:
        while piece := connection.recv(65536):
            answer += piece
    except ConnectionResetError:
        assert answer
    return answer


def _statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", answer)]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    folder = tmp_path_factory.mktemp("api")
    command = [sys.executable, "-m", "tests.functional.api_process", str(folder), str(CLIENT_SECONDS)]
    with (folder / "stderr").open("w") as stderr, subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True) as popen:
        assert popen.stdout
        host, _, port = popen.stdout.readline().strip().rpartition(":")
        yield ApiProcess((host, int(port)), popen, folder / "log")
        popen.kill()


@pytest.fixture(autouse=True)
def goes_on(api: ApiProcess) -> Iterator[None]:
    """After every test the process answers, and no exception left its place."""
    yield
    assert _statuses(api.exchange(GET + "Connection: close\r\n\r\n")) == [200]
    assert "Traceback" not in api.log_path.with_name("stderr").read_text()
    assert "\nERROR:glancesync" not in api.log_path.read_text()


def _post(headers: str, body: str = "") -> str:
    return (f"POST /v1/cascaded-eps HTTP/1.1\r\nHost: sync\r\nX-Auth-Token: {ADMIN}\r\n"
            f"Content-Type: application/json\r\n{headers}\r\n{body}")


def _send_for_ever(connection: socket.socket, data: bytes) -> float:
    """Seconds until the server had enough."""
    begun = time.monotonic()
    while time.monotonic() < begun + 15:
        try:
            connection.sendall(data)
        except OSError:
            break
    return time.monotonic() - begun


# -- bodies ----------------------------------------------------------------------------------------------------------
def test_nothing_of_a_body_over_the_limit_is_read_and_the_connection_ends(api: ApiProcess) -> None:
    answer = api.exchange(_post(f"Content-Length: {10**12}\r\n"))
    assert _statuses(answer) == [413]
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize(("headers", "piece"), [
    (f"Content-Length: {10**12}\r\n", b"x" * 65536),
    ("Transfer-Encoding: chunked\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n")], ids=["length", "chunked"])
def test_a_refused_body_that_keeps_coming_costs_neither_memory_nor_time(api: ApiProcess, headers: str,
                                                                        piece: bytes) -> None:
    before = api.rss_bytes()
    with closing(api.connect()) as connection:
        connection.sendall(_post(headers).encode())
        assert _send_for_ever(connection, piece) < 6
    assert api.rss_bytes() - before < 8 * LIMIT_BYTES


def test_a_client_that_waits_for_leave_to_send_is_refused_without(api: ApiProcess) -> None:
    answer = api.exchange(_post(f"Content-Length: {LIMIT_BYTES + 1}\r\nExpect: 100-continue\r\n"))
    assert _statuses(answer) == [413]


def test_leave_to_send_a_small_body_is_given(api: ApiProcess) -> None:
    body = '{"regions": []}'
    with closing(api.connect()) as connection:
        connection.sendall(_post(f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n"
                                 ).encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body.encode())
        assert _statuses(_until_closed(connection)) == [200]


def test_a_small_body_that_nobody_wanted_does_not_end_the_connection(api: ApiProcess) -> None:
    refused = f"POST /v1/events HTTP/1.1\r\nHost: sync\r\nContent-Length: 5\r\n\r\nhello{GET}Connection: close\r\n\r\n"
    assert _statuses(api.exchange(refused)) == [401, 200]


def test_a_chunked_body_over_the_limit_is_answered(api: ApiProcess) -> None:
    chunks = b"10000\r\n" + b" " * 65536 + b"\r\n"
    answer = api.exchange(_post("Transfer-Encoding: chunked\r\n").encode() + chunks * 18)
    assert _statuses(answer) == [413]
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize("chunks", ["nonsense\r\n", "5" * 5000, "5;" + "x" * 5000 + "\r\nhello\r\n0\r\n\r\n", "\r\n",
                                    "f\r\n{\"regions\": []}\r\n0\r\n" + "X: y\r\n" * 200_000 + "\r\n"])
def test_chunks_that_are_none(api: ApiProcess, chunks: str) -> None:
    before = api.rss_bytes()
    assert _statuses(api.exchange(_post("Transfer-Encoding: chunked\r\n", chunks))) == [400]
    assert api.rss_bytes() - before < 8 * LIMIT_BYTES


# -- where a request ends --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("headers", [
    "Content-Length: 5\r\nContent-Length: 15\r\n", "Content-Length: 15\r\nContent-Length: 15\r\n",
    "Content-Length: 15\r\nTransfer-Encoding: chunked\r\n", "Content-Length: +15\r\n", "Content-Length: 1_5\r\n",
    "Content-Length: -1\r\n", "Content-Length: 15, 15\r\n", "Content-Length: 0x0f\r\n", "Content-Length: \r\n",
    "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: identity\r\n", "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding : chunked\r\n", "Content-Length : 15\r\n", " Content-Length: 15\r\n",
    "X: y\r\n Content-Length: 15\r\n", "X: y\rContent-Length: 15\r\n", "Content-Length: 15\x0b\r\n", "No colon\r\n",
    "X\x00Y: z\r\n", "X: a\x00b\r\n", "X: a\x1b[31mb\r\n", ": empty\r\n",
])
def test_requests_that_two_servers_could_read_differently(api: ApiProcess, headers: str) -> None:
    answer = api.exchange(_post(headers, '{"regions": []}' + GET + "\r\n"))
    assert _statuses(answer) == [400], answer
    assert b"BaseHTTP" not in answer
    assert b"Python" not in answer


def test_a_transfer_encoding_that_http_1_0_does_not_know(api: ApiProcess) -> None:
    request = _post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0")
    assert _statuses(api.exchange(request)) == [400]


@pytest.mark.parametrize(("line", "status"), [
    ("GET http://elsewhere.example/healthcheck HTTP/1.1", 400), ("GET //elsewhere.example/ HTTP/1.1", 401),
    ("GET healthcheck HTTP/1.1", 401), ("GET * HTTP/1.1", 401), ("OPTIONS * HTTP/1.1", 401),
    ("CONNECT elsewhere.example:443 HTTP/1.1", 401), ("GET /healthcheck", 400), ("GET /healthcheck HTTP/9.9", 505),
    ("GET /healthcheck HTTP/1.1 HTTP/1.1", 400), ("GET /health check HTTP/1.1", 400), ("GET", 400),
    ("G\x00T /healthcheck HTTP/1.1", 405), ("get /healthcheck HTTP/1.1", 405), ("BREW /healthcheck HTTP/1.1", 405),
    ("GET /healthcheck\x00 HTTP/1.1", 400), ("GET /healthcheck%00 HTTP/1.1", 400),
    ("GET /healthcheck%0d%0aX:y HTTP/1.1", 400),
    ("GET /" + "a" * 20_000 + " HTTP/1.1", 414), ("GET /v1/../healthcheck HTTP/1.1", 401),
    ("GET /v1%2fopenapi.json HTTP/1.1", 200), ("GET /v1/%252e%252e/x HTTP/1.1", 401),
    ("GET /healthcheck?\x1b[31m HTTP/1.1", 400), ("GET /healthcheck#fragment HTTP/1.1", 401),
    ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400), ("PRI * HTTP/2.0", 505),
])
def test_request_lines(api: ApiProcess, line: str, status: int) -> None:
    answer = api.exchange(f"{line}\r\nHost: sync\r\nConnection: close\r\n\r\n")
    assert _statuses(answer) == [status], answer


@pytest.mark.parametrize("headers", ["X: " + "y" * 20_000 + "\r\n", "X: y\r\n" * 101,
                                     ("X: " + "y" * 9000 + "\r\n") * 8])
def test_too_many_or_too_long_headers(api: ApiProcess, headers: str) -> None:
    assert _statuses(api.exchange(f"{GET}{headers}\r\n")) in ([400], [431])


@pytest.mark.parametrize("host", ["evil\"><script>", "a,b", "evil.example/x", "user@evil.example",
                                  "evil.example:99999999", "[::1", "a b", "x\r\nHost: y"])
def test_hosts_that_are_none_reach_no_link(api: ApiProcess, host: str) -> None:
    answer = api.exchange(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    assert _statuses(answer) == [400]


@pytest.mark.parametrize("host", ["sync", "sync.example.org:9595", "[::1]:9595", "192.0.2.1", "a_b.example", ""])
def test_hosts(api: ApiProcess, host: str) -> None:
    answer = api.exchange(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    assert _statuses(answer) == [200]
    if host:
        assert f'"href": "http://{host}/v1"'.encode() in answer


@pytest.mark.parametrize("headers", ["Forwarded: host=evil.example;proto=https", "X-Forwarded-Host: evil.example",
                                     "X-Forwarded-Prefix: //evil.example", "X-Forwarded-Proto: gopher",
                                     "X_Forwarded_Host: evil.example", "X-Script-Name: /evil"])
def test_forwarding_headers_reach_no_link_unless_configured(api: ApiProcess, headers: str) -> None:
    links = api.exchange(f"GET / HTTP/1.1\r\nHost: sync\r\n{headers}\r\nConnection: close\r\n\r\n")
    assert b'"href": "http://sync/v1"' in links
    page = api.exchange(f"GET /v1/tasks?limit=1 HTTP/1.1\r\nHost: sync\r\nX-Auth-Token: {ADMIN}\r\n{headers}\r\n"
                        "Connection: close\r\n\r\n")
    assert b'"next": "/v1/tasks?limit=1&marker=' in page


# -- time ------------------------------------------------------------------------------------------------------------
def _drip(connection: socket.socket, text: bytes) -> float:
    """Sends the text again and again, a byte at a time; the seconds until the server had enough."""
    begun = time.monotonic()
    while time.monotonic() < begun + 10:
        for byte in text:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                return time.monotonic() - begun
            time.sleep(0.05)
    raise AssertionError("the server was patient for ever")


@pytest.mark.parametrize("start", [b"", GET.encode(), _post("Content-Length: 1000\r\n").encode(),
                                   _post("Transfer-Encoding: chunked\r\n").encode() + b"1000\r\n"],
                         ids=["line", "headers", "body", "chunk"])
def test_a_client_that_drips_is_disconnected(api: ApiProcess, start: bytes) -> None:
    with closing(api.connect()) as connection:
        connection.sendall(start)
        assert _drip(connection, b"X-Y: z\r\n" if start == GET.encode() else b"x") < 4 * CLIENT_SECONDS


def test_a_body_that_does_not_come_is_answered(api: ApiProcess) -> None:
    answer = api.exchange(_post("Content-Length: 1000\r\n", "{"))
    assert _statuses(answer) == [408]


@pytest.mark.parametrize("start", [b"", GET.encode()], ids=["nothing", "headers"])
def test_a_client_that_stands_still_is_disconnected(api: ApiProcess, start: bytes) -> None:
    begun = time.monotonic()
    with closing(api.connect()) as connection:
        connection.sendall(start)
        assert _until_closed(connection) == b""
    assert time.monotonic() - begun < 4 * CLIENT_SECONDS


def test_a_client_that_does_not_read_is_disconnected(api: ApiProcess) -> None:
    """Many answers into one connection, none of them taken: the server must not hold them for ever."""
    with closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0.2)
        connection.connect(api.address)
        request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: sync\r\n\r\n" * 200
        took = time.monotonic()

        def cut_off() -> bool:
            nonlocal took
            try:
                connection.send(request)
                took = time.monotonic()
            except TimeoutError:
                # A client that takes nothing may not be told of the end by its kernel for minutes.
                return not _is_held(api.address[1], connection.getsockname()[1])
            except OSError:
                return True
            return False

        eventually(cut_off, 60, what="the server gave up")
        assert time.monotonic() - took < 4 * CLIENT_SECONDS, "the server was to give up soon after it could not go on"


def _is_held(server_port: int, client_port: int) -> bool:
    """Whether some process has the server's end of the connection open: Linux shows ends without one with inode 0."""
    ends = f":{server_port:04X} ", f":{client_port:04X} "
    rows = [line for line in Path("/proc/net/tcp").read_text().splitlines()
            if ends[0] in line and ends[1] in line and line.index(ends[0]) < line.index(ends[1])]
    return any(row.split()[9] != "0" for row in rows)


def test_many_slow_clients_do_not_stop_the_others(api: ApiProcess) -> None:
    slow = [api.connect() for _ in range(60)]
    for connection in slow:
        connection.sendall(GET.encode())
    begun = time.monotonic()
    assert _statuses(api.exchange(GET + "Connection: close\r\n\r\n")) == [200]
    assert time.monotonic() - begun < CLIENT_SECONDS
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_client_that_hangs_up_at_any_moment(api: ApiProcess, cut: int) -> None:
    body = '{"regions": []}'
    request = _post(f"Content-Length: {len(body)}\r\n", body)
    with closing(api.connect()) as connection:
        connection.sendall(request[:len(request) - cut].encode())


def test_headers_that_end_in_the_middle_are_no_request(api: ApiProcess) -> None:
    request = _post("Content-Length: 2\r\n")
    assert _statuses(api.exchange(request[:-2], end=True)) == [400]
    assert _statuses(api.exchange(request[:-20], end=True)) == [400]


@pytest.mark.parametrize("volleys", [3, pytest.param(50, marks=pytest.mark.full)])
def test_thousands_of_odd_requests_leave_no_memory_behind(api: ApiProcess, volleys: int) -> None:
    odd: list[Callable[[int], Any]] = [
        lambda n: f"GET /v1/images/{n} HTTP/1.1\r\nHost: sync\r\n\r\n",
        lambda n: f"GET /v1/images/{OWN_IMAGE}?x{n}=1 HTTP/1.1\r\nHost: sync\r\nX-Auth-Token: {ADMIN}\r\n\r\n",
        lambda n: f"M{n} /v1/tasks HTTP/1.1\r\nHost: h{n}\r\nX-Auth-Token: {ADMIN}\r\n\r\n",
        lambda n: _post(f"Content-Length: 9\r\nX-H{n}: {n}\r\n", f'{{"{n:05}":'),
    ]

    def volley(first: int) -> None:
        with closing(api.connect()) as connection:
            requests = "".join(make(n) for n in range(first, first + 100) for make in odd)
            connection.sendall((requests + GET + "Connection: close\r\n\r\n").encode())
            assert len(_statuses(_until_closed(connection))) == 401

    volley(0)
    before = api.rss_bytes()
    for number in range(volleys):
        volley(100 + 100 * number)
    assert api.rss_bytes() - before < 4 * LIMIT_BYTES
