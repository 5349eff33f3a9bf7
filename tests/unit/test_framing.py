# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import http.client
import io

import pytest

from glancesync.framing import BoundedLines, HeaderLines, find_problem


def _problem(text: bytes, version: str = "HTTP/1.1") -> str | None:
    lines = HeaderLines(io.BytesIO(text))
    headers = http.client.parse_headers(lines)  # type: ignore[arg-type]
    return lines.problem or find_problem(headers, version)


@pytest.mark.parametrize("text", [
    b"\r\n", b"Host: sync\r\nX-Auth-Token: a b\r\n\r\n", b"Content-Length: 15\r\n\r\n", b"X:\r\n\r\n", b"X: \xe9\r\n\n",
    b"Transfer-Encoding: Chunked\r\n\r\n", b"X: a\tb\n\n", b"A_b: c\r\nX: y\r\nX: z\r\n\r\n"])
def test_headers_that_say_one_thing(text: bytes) -> None:
    assert _problem(text) is None


@pytest.mark.parametrize(("text", "words"), [
    (b"", "end in the middle"), (b"X: y\r\n", "end in the middle"), (b"X: y", "end in the middle"),
    (b"X: y\rZ: z\r\n\r\n", "control character"), (b"X: y\0\r\n\r\n", "control character"),
    (b"X: a\x1bb\r\n\r\n", "control character"), (b"X: y\r\n z\r\n\r\n", "folded"), (b"no colon\r\n\r\n", "no colon"),
    (b"X : y\r\n\r\n", "header"), (b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "one number"),
    (b"Content-Length: +1\r\n\r\n", "one number"), (b"Content-Length: \xb2\r\n\r\n", "one number"),
    (b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "exclude"),
    (b"Transfer-Encoding: identity\r\n\r\n", "chunked"), (b"Transfer-Encoding: gzip\r\n\r\n", "chunked")])
def test_headers_that_two_servers_could_read_differently(text: bytes, words: str) -> None:
    assert words in (_problem(text) or "")


@pytest.mark.parametrize("version", ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0"])
def test_other_versions(version: str) -> None:
    assert _problem(b"\r\n", version)


def test_chunks_need_http_1_1() -> None:
    assert _problem(b"Transfer-Encoding: chunked\r\n\r\n", "HTTP/1.0")


def test_lines_between_chunks_are_bounded_and_bytes_are_not() -> None:
    assert len(BoundedLines(io.BytesIO(b"x" * 5000)).read()) == 5000
    assert BoundedLines(io.BytesIO(b"5\r\nhello")).readline() == b"5\r\n"
    with pytest.raises(ValueError, match="too long"):
        BoundedLines(io.BytesIO(b"x" * 5000)).readline()
    many = BoundedLines(io.BytesIO(b"x" * 500 + b"\n" * 2_000_000))
    with pytest.raises(ValueError, match="too long"):
        list(iter(many.readline, b""))
