# SPDX-License-Identifier: Apache-2.0
"""Whether a browser's request comes from our own page (pure). Used by `sessions` and `login`.

Three locks, each of which would do: the cookie is SameSite=Strict; Origin and Sec-Fetch-Site, which no script can
forge, must name us; what changes something carries a text that only our page can read.
"""
from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

CSRF_HEADER = "HTTP_X_CSRF_TOKEN"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int | None] | None:
    """(scheme, host, port) of a URL or an Origin header; None for `null` and for what is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname.lower(), port


def own_origins(environ: Mapping[str, Any], public_endpoint: str | None) -> set[tuple[str, str, int | None]]:
    """Where our page may have been loaded from: what the caller named as our host, and what a proxy calls us."""
    named = f"{environ.get('wsgi.url_scheme')}://{environ.get('HTTP_HOST', '')}"
    return {found for url in (named, public_endpoint or "") if (found := origin_of(url)) is not None}


def is_same_origin(environ: Mapping[str, Any], public_endpoint: str | None) -> bool:
    """Whether the browser says that our own page asks. A request that changes something has to say so."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None and site != "same-origin":
        return False
    given = environ.get("HTTP_ORIGIN")
    if given is None:
        return environ.get("REQUEST_METHOD") in SAFE_METHODS or site == "same-origin"
    return origin_of(given) in own_origins(environ, public_endpoint)


def carries_csrf(environ: Mapping[str, Any], expected: str) -> bool:
    """Whether a request that changes something carries the session's own text."""
    if environ.get("REQUEST_METHOD") in SAFE_METHODS:
        return True
    return hmac.compare_digest(str(environ.get(CSRF_HEADER, "")).encode("latin-1", "replace"), expected.encode())


def is_secure(environ: Mapping[str, Any], public_endpoint: str | None) -> bool:
    """Whether browsers reach us by https, as far as we are told: cookies are marked so then."""
    return environ.get("wsgi.url_scheme") == "https" or (public_endpoint or "").startswith("https:")
