# SPDX-License-Identifier: Apache-2.0
"""The page's static files, read once and served from memory. Used by the outer stage.

They are few and small; only names that were there at the start exist, so no path can lead anywhere else.
"""
from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import webob

from glancesync.web.headers import HEADERS

FOLDER = Path(__file__).parent / "static"
PREFIX = "/web/"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, kw_only=True)
class StaticFile:
    """`etag` is made of the content, so it changes exactly when the content does."""

    content: bytes
    content_type: str
    etag: str


def load_files(folder: Path = FOLDER) -> Mapping[str, StaticFile]:
    """Path to file; the index stands under the folder's own path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            found[PREFIX + ("" if name == "index.html" else name)] = StaticFile(
                content=content, content_type=_TYPES[path.suffix], etag=hashlib.sha256(content).hexdigest()[:32])
    return found


def file_response(file: StaticFile) -> webob.Response:
    """Browsers keep it and ask whether it is still the same, so that a new version is seen at once."""
    response = webob.Response(body=file.content, content_type=file.content_type, charset="utf-8")
    response.headers.update({**HEADERS, "Cache-Control": "no-cache"})
    response.etag = file.etag
    response.conditional_response = True
    return response
