# SPDX-License-Identifier: Apache-2.0
"""Which requests come from our own page."""
from __future__ import annotations

from typing import Any

import pytest

from glancesync.web.origin import carries_csrf, is_same_origin, is_secure, origin_of

OURS = {"wsgi.url_scheme": "http", "HTTP_HOST": "sync.example:9595"}


@pytest.mark.parametrize(("environ", "expected"), [
    ({"REQUEST_METHOD": "GET"}, True),
    ({"REQUEST_METHOD": "GET", "HTTP_SEC_FETCH_SITE": "same-origin"}, True),
    ({"REQUEST_METHOD": "GET", "HTTP_SEC_FETCH_SITE": "none"}, False),
    ({"REQUEST_METHOD": "GET", "HTTP_SEC_FETCH_SITE": "cross-site"}, False),
    ({"REQUEST_METHOD": "GET", "HTTP_SEC_FETCH_SITE": "same-site"}, False),
    ({"REQUEST_METHOD": "GET", "HTTP_ORIGIN": "http://evil.example"}, False),
    ({"REQUEST_METHOD": "POST"}, False),
    ({"REQUEST_METHOD": "POST", "HTTP_SEC_FETCH_SITE": "same-origin"}, True),
    ({"REQUEST_METHOD": "POST", "HTTP_ORIGIN": "http://sync.example:9595"}, True),
    ({"REQUEST_METHOD": "POST", "HTTP_ORIGIN": "http://SYNC.example:9595"}, True),
    ({"REQUEST_METHOD": "POST", "HTTP_ORIGIN": "https://sync.example:9595"}, False),
    ({"REQUEST_METHOD": "POST", "HTTP_ORIGIN": "http://sync.example"}, False),
    ({"REQUEST_METHOD": "POST", "HTTP_ORIGIN": "http://sync.example:9595.evil.example"}, False),
    ({"REQUEST_METHOD": "POST", "HTTP_ORIGIN": "null"}, False),
    ({"REQUEST_METHOD": "POST", "HTTP_ORIGIN": ""}, False),
    ({"REQUEST_METHOD": "POST", "HTTP_ORIGIN": "http://sync.example:9595", "HTTP_SEC_FETCH_SITE": "cross-site"}, False),
    ({"REQUEST_METHOD": "POST", "HTTP_ORIGIN": "https://page.example"}, True),
])
def test_same_origin(environ: dict[str, Any], expected: bool) -> None:
    assert is_same_origin(OURS | environ, "https://page.example/sync") is expected


@pytest.mark.parametrize("text", ["null", "", "//x", "ftp://x", "http://", "http://x:y", "file:///etc", "http://[::1"])
def test_what_is_no_origin(text: str) -> None:
    assert origin_of(text) is None


def test_no_origin_is_ours_where_the_host_is_none() -> None:
    environ = {"wsgi.url_scheme": "http", "REQUEST_METHOD": "POST", "HTTP_ORIGIN": "null"}
    assert not is_same_origin(environ, None)


@pytest.mark.parametrize(("method", "given", "expected"), [
    ("GET", None, True), ("HEAD", None, True), ("POST", None, False), ("POST", "", False), ("POST", "other", False),
    ("POST", "right", True), ("DELETE", "righ", False), ("PATCH", "r\xef\u20ac", False)])
def test_what_changes_something_carries_the_sessions_text(method: str, given: str | None, expected: bool) -> None:
    environ = {"REQUEST_METHOD": method} | ({} if given is None else {"HTTP_X_CSRF_TOKEN": given})
    assert carries_csrf(environ, "right") is expected


def test_an_empty_text_is_no_proof() -> None:
    assert not carries_csrf({"REQUEST_METHOD": "POST"}, "right")


@pytest.mark.parametrize(("scheme", "public", "expected"), [
    ("http", None, False), ("https", None, True), ("http", "https://page.example", True),
    ("http", "http://page.example", False)])
def test_cookies_are_secure_where_browsers_come_by_https(scheme: str, public: str | None, expected: bool) -> None:
    assert is_secure({"wsgi.url_scheme": scheme}, public) is expected
