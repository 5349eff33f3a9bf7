# SPDX-License-Identifier: Apache-2.0
"""Files that nobody has verified yet: told of by a path of their own, verified or refused."""
from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest

from glancesync.filter.store_demands import Demands, VerifiedLocations

ID = "0a1b2c3d-0000-4000-8000-00000000000a"
BODY = json.dumps({"url": "file:///x", "validation_data": {"os_hash_algo": "sha512", "os_hash_value": "0"}}).encode()
PATH = f"/v2/glance-sync/images/{ID}/locations"


def call(demands, body=BODY, *, path=PATH, method="POST", secure=False, status="202 Accepted"):
    """(status, path that Glance saw, body that it saw)."""
    seen = []

    def glance(environ, start_response):
        seen.append((environ["PATH_INFO"], environ["wsgi.input"].read()))
        start_response(status, [])
        return [b""]

    told = []
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "CONTENT_LENGTH": str(len(body)),
               "wsgi.input": io.BytesIO(body)}
    VerifiedLocations(glance, demands, SimpleNamespace(do_secure_hash=secure))(
        environ, lambda status, *_more: told.append(status))
    return told[0], *(seen[0] if seen else (None, None))


def test_glance_sees_its_own_path_and_the_hash_is_wanted_once():
    demands = Demands()
    assert call(demands) == ("202 Accepted", f"/v2/images/{ID}/locations", BODY)
    assert demands.take(ID) == ("sha512", "0")
    assert demands.take(ID) is None


def test_a_glance_that_verifies_by_itself_is_left_to_it():
    demands = Demands()
    assert call(demands, secure=True)[1] == f"/v2/images/{ID}/locations"
    assert demands.take(ID) is None


def test_what_glance_refuses_is_not_wanted():
    demands = Demands()
    assert call(demands, status="403 Forbidden")[0] == "403 Forbidden"
    assert demands.take(ID) is None


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"{}", b'{"validation_data": {"os_hash_algo": "sha512"}}',
                                  b'{"validation_data": {"os_hash_algo": "sha512", "os_hash_value": ""}}',
                                  b'{"validation_data": {"os_hash_algo": 5, "os_hash_value": "0"}}'])
def test_without_a_hash_it_is_refused(body):
    demands = Demands()
    assert call(demands, body) == ("400 Bad Request", None, None)
    assert demands.take(ID) is None


@pytest.mark.parametrize(("path", "method"), [
    (f"/v2/images/{ID}/locations", "POST"), (PATH, "GET"), (PATH + "/x", "POST"), (PATH.replace("-8000-", "-"), "POST"),
    ("/v2/glance-sync/images/../locations", "POST"), (PATH + "\n", "POST")])
def test_everything_else_passes_as_it_is(path, method):
    demands = Demands()
    assert call(demands, path=path, method=method) == ("202 Accepted", path, BODY)
    assert demands.take(ID) is None


def test_none_is_forgotten_because_there_are_too_many():
    demands = Demands()
    for number in range(1000):
        demands.put(str(number), ("sha512", "0"))
    assert call(demands)[:2] == ("503 Service Unavailable", None)
    assert demands.take("0") == ("sha512", "0")
