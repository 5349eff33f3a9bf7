# SPDX-License-Identifier: Apache-2.0
"""Where a request begins and ends, judged strictly. Pure; used by serving.

Two servers in a row that disagree on it can be made to take a part of one request for another: whatever RFC 9112 leaves
open is refused here.
"""
from __future__ import annotations

import re
from email.message import Message
from typing import Any

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LENGTH = re.compile(r"[0-9]{1,18}\Z")
#: The longest line between two chunks, and all of them together.
_LINE_BYTES = 1024
_ALL_LINES_BYTES = 1024 * 1024


def find_problem(headers: Message, http_version: str) -> str | None:
    """What makes these headers ambiguous, as a sentence; None where nothing does."""
    if http_version not in ("HTTP/1.0", "HTTP/1.1"):
        return "HTTP/1.0 and HTTP/1.1 are spoken here."
    if headers.defects:
        return "A header line has no colon, or another mistake."
    for name, value in headers.items():
        if not _NAME.match(name):
            return "A header has a name that is none."
        if _CONTROL.search(str(value)):
            return f"The header {name[:64]} holds a control character or a folded line."
    return _length_problem(headers.get_all("Content-Length", []), headers.get_all("Transfer-Encoding", []),
                           http_version)


def _length_problem(lengths: list[str], encodings: list[str], http_version: str) -> str | None:
    if lengths and encodings:
        return "Content-Length and Transfer-Encoding exclude each other."
    if len(lengths) > 1 or not all(_LENGTH.match(length.strip()) for length in lengths):
        return "Content-Length must be one number of bytes."
    if encodings and ([each.strip().lower() for each in encodings] != ["chunked"] or http_version != "HTTP/1.1"):
        return "Transfer-Encoding can be chunked, in HTTP/1.1, and nothing else."
    return None


class HeaderLines:
    """Lines of a header section; `problem` tells of what Python's parser would take for the end of a line, or of
    headers that are cut off, which it would take for all of them."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.problem: str | None = None

    def readline(self, size: int = -1) -> bytes:
        line: bytes = self._stream.readline(size)
        if not line.endswith(b"\n"):
            self.problem = "The headers end in the middle."
        elif b"\r" in line.removesuffix(b"\n").removesuffix(b"\r") or b"\0" in line:
            self.problem = "A header line holds a control character."
        return line


class BoundedLines:
    """A body's stream: bytes as they are, lines (between chunks, and of trailers) only of a sensible length.

    `readline` raises ValueError beyond that.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._left = _ALL_LINES_BYTES

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size)
        return data

    def readline(self, size: int = -1) -> bytes:
        line: bytes = self._stream.readline(_LINE_BYTES if size < 0 else min(size, _LINE_BYTES))
        self._left -= len(line)
        if self._left < 0 or (len(line) == _LINE_BYTES and not line.endswith(b"\n")):
            raise ValueError("the lines between the chunks are too long")
        return line
