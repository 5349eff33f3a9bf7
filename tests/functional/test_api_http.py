# SPDX-License-Identifier: Apache-2.0
"""The API of the running server on the wire: what only a real HTTP server and real bytes can show."""
from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from keystoneauth1.session import Session

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer

pytestmark = pytest.mark.lab

LIMIT_BYTES = 1024 * 1024


@pytest.fixture
def admin(lab: Lab) -> Session:
    return lab.session("admin")


class Wire:
    """One connection that sends bytes as they are and reads one answer."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=20)

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._socket.sendall(piece)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        with closing(self._socket.makefile("rb")) as stream:
            status = int(stream.readline().split()[1])
            headers = {}
            while line := stream.readline().strip():
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            return status, headers, stream.read(int(headers.get("content-length", 0)))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def wire(sync_server: SyncServer) -> Iterator[Wire]:
    with closing(Wire(sync_server.url)) as connection:
        yield connection


def _request(method: bytes, path: bytes, token: str | None = None, **headers: str) -> bytes:
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: sync"]
    lines += [f"X-Auth-Token: {token}".encode()] if token else []
    lines += [f"{name.replace('_', '-')}: {value}".encode() for name, value in headers.items()]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _error(body: bytes) -> dict[str, Any]:
    return dict(json.loads(body)["error"])


def test_discovery_as_openstack_clients_do_it(sync_server: SyncServer, admin: Session) -> None:
    data = admin.get(sync_server.url + "/", authenticated=False).json()
    assert [(each["id"], each["status"]) for each in data["versions"]] == [("v1.0", "CURRENT")]
    assert data["versions"][0]["links"][0]["href"] == f"{sync_server.url}/v1"


def test_an_admin_operates_it_by_an_ordinary_session(sync_server: SyncServer, lab: Lab, admin: Session) -> None:
    regions = admin.get(f"{sync_server.url}/v1/regions", microversion="latest",
                        microversion_service_type="image-sync").json()["regions"]
    assert {region["name"] for region in regions} == set(lab.regions)
    assert [region["name"] for region in regions if region["cascading"]] == [lab.cascading_region]


def test_a_body_over_the_limit_is_refused_before_it_is_sent(wire: Wire, admin: Session) -> None:
    wire.send(_request(b"POST", b"/v1/events", admin.get_token(), Content_Type="application/json",
                       Content_Length=str(LIMIT_BYTES + 1)))
    status, _, body = wire.answer()
    assert (status, _error(body)["code"]) == (413, "body_too_large")


def test_an_endless_chunked_body_is_cut_off(wire: Wire, admin: Session) -> None:
    wire.send(_request(b"POST", b"/v1/events", admin.get_token(), Content_Type="application/json",
                       Transfer_Encoding="chunked"))
    piece = b" " * 65536
    chunk = f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    for _ in range(LIMIT_BYTES // len(piece) + 2):
        wire.send(chunk)
    status, _, body = wire.answer()
    assert (status, _error(body)["code"]) == (413, "body_too_large")


def test_a_small_chunked_body_is_read(wire: Wire, admin: Session) -> None:
    body = b'{"regions": []}'
    wire.send(_request(b"POST", b"/v1/cascaded-eps", admin.get_token(), Content_Type="application/json",
                       Transfer_Encoding="chunked"), f"{len(body):x}\r\n".encode(), body, b"\r\n0\r\n\r\n")
    status, _, answer = wire.answer()
    assert status == 200, answer
    assert len(json.loads(answer)["eps"]) >= 1


def test_a_broken_chunk_is_the_callers_mistake(wire: Wire, admin: Session) -> None:
    wire.send(_request(b"POST", b"/v1/events", admin.get_token(), Content_Type="application/json",
                       Transfer_Encoding="chunked"), b"nonsense\r\n\r\n")
    status, _, body = wire.answer()
    assert (status, _error(body)["code"]) == (400, "invalid_input")


@pytest.mark.parametrize(("path", "expected"), [
    (b"/v1//images", 400), (b"/v1/images/%00", 400), (b"/v1/images/%ff", 400), (b"/v1/images/a%2fb", 404),
    (b"/v1/%2e%2e/healthcheck", 404), (b"/v1/images/" + b"a" * 4000, 400), (b"/v1/images?limit=%00", 400),
    (b"/v1/images?" + b"\xc3\xa9", 400),
])
def test_odd_paths(wire: Wire, admin: Session, path: bytes, expected: int) -> None:
    wire.send(_request(b"GET", path, admin.get_token()))
    status, headers, body = wire.answer()
    assert status == expected, body
    assert _error(body)["request_id"] == headers["x-openstack-request-id"]


def test_a_path_with_a_raw_newline_does_not_split_the_answer(wire: Wire, admin: Session) -> None:
    wire.send(_request(b"GET", b"/v1/images/%0d%0aSet-Cookie:%20a=b", admin.get_token()))
    status, headers, _ = wire.answer()
    assert status == 400
    assert "set-cookie" not in headers


def test_head_has_no_body_and_the_connection_goes_on(wire: Wire) -> None:
    wire.send(_request(b"HEAD", b"/healthcheck"), _request(b"GET", b"/healthcheck", Connection="close"))
    stream = wire._socket.makefile("rb")
    with closing(stream):
        answers = stream.read()
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.count(b'{"status": "ok"}') == 1
