# SPDX-License-Identifier: Apache-2.0
"""External URLs of images, and what became of registering one in a region. URLs themselves are written down nowhere:
they may be signed."""
from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

_SCHEMES = ("http", "https")


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A URL, by its fingerprint, that a replica was to have as its location. `refused` is why it has not, None where
    it has or may still get it; times are seconds since the epoch."""

    fingerprint: str
    at: float
    refused: str | None = None


@dataclass(frozen=True, kw_only=True)
class Located:
    """An image of which somebody said that it lies at external URLs. `urls` are those that the cascading Glance shows,
    None where it was not asked or does not tell; `registration` is that of the region in question."""

    urls: tuple[str, ...] | None = None
    registration: Registration | None = None


def why_refused(url: str) -> str | None:
    """Why a URL is no location for a replica, None where it is one."""
    try:
        parts = urlsplit(url)
        userinfo, host = "@" in parts.netloc, parts.hostname
    except ValueError:
        return "cannot be read"
    if parts.scheme.lower() not in _SCHEMES or not host:
        return "must be an http or https URL"
    return "must not carry a user name or password" if userinfo else None


def fingerprint(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def external(urls: Iterable[str]) -> tuple[str, ...]:
    """Those that another Glance may be given."""
    return tuple(url for url in urls if why_refused(url) is None)
