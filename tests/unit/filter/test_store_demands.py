# SPDX-License-Identifier: Apache-2.0
"""Files that nobody has verified yet: told of by a path of their own, verified or refused."""
from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest
import webob

from glancesync.filter.store_demands import Demand, VerifiedLocations, find_wanted
from glancesync.model.filed import Filed

ID = "0a1b2c3d-0000-4000-8000-00000000000a"
PATH = f"/v2/glance-sync/images/{ID}/locations"


def body_of(value):
    return json.dumps({"url": "file:///x", "validation_data": {"os_hash_algo": "sha512",
                                                               "os_hash_value": value}}).encode()


BODY = body_of("0")
MD5 = "0123456789abcdef" * 2
NONE = Demand(digest=None)
WANTED = Demand(digest=("sha512", "0"))


class Answer:
    """What Glance and the caller saw of one request; `context` is what Glance's task is given."""

    def __init__(self, body=BODY, *, path=PATH, method="POST", secure=False, status="202 Accepted", context=True,
                 headers=None):
        self.path = self.body = None
        environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "CONTENT_LENGTH": str(len(body)),
                   "wsgi.input": io.BytesIO(body)}
        environ |= {"HTTP_" + name.upper().replace("-", "_"): value for name, value in (headers or {}).items()}
        self.context = SimpleNamespace()
        if context:
            webob.Request(environ).context = self.context

        def glance(environ, start_response):
            self.path, self.body = environ["PATH_INFO"], environ["wsgi.input"].read()
            assert not context or webob.Request(environ).context is self.context
            start_response(status, [])
            return [b""]

        told = []
        VerifiedLocations(glance, SimpleNamespace(do_secure_hash=secure))(
            environ, lambda status, *_more: told.append(status))
        [self.status] = told
        self.wanted = find_wanted(self.context)


def test_glance_sees_its_own_path_and_its_task_the_hash():
    found = Answer()
    assert (found.status, found.path, found.body) == ("202 Accepted", f"/v2/images/{ID}/locations", BODY)
    assert found.wanted == WANTED


@pytest.mark.parametrize(("headers", "demand"), [
    (Filed().headers, WANTED), (Filed(compared=True).headers, NONE),
    (Filed(checksum=MD5).headers, Demand(digest=("sha512", "0"), checksum=MD5)),
    (Filed(compared=True, checksum=MD5).headers, Demand(digest=None, checksum=MD5)),
    ({"X-Glance-Sync-Checksum": MD5 + "\n"}, WANTED), ({"X-Glance-Sync-Checksum": MD5.upper()}, WANTED),
    ({"X-Glance-Sync-Checksum": "0"}, WANTED), ({"X-Glance-Sync-Compared": "yes"}, WANTED)])
def test_what_was_done_already_is_not_done_again(headers, demand):
    assert Answer(headers=headers).wanted == demand


def test_a_glance_that_verifies_by_itself_is_left_to_it():
    found = Answer(secure=True)
    assert (found.path, found.wanted) == (f"/v2/images/{ID}/locations", NONE)


def test_no_other_request_takes_the_hash_away():
    """One that Glance refuses because the first one's task has not begun; one that comes with another hash; any number
    by whoever has a token."""
    first = Answer()
    refused = Answer(body_of("1"), status="409 Conflict")
    others = [Answer(body_of("2"), path=PATH.replace("0a1b", f"{number:04x}")) for number in range(2000)]
    last = Answer(body_of("3"))
    assert {each.status for each in others} == {"202 Accepted"}
    assert [find_wanted(each.context).digest for each in (first, refused, last)] == [
        ("sha512", "0"), ("sha512", "1"), ("sha512", "3")]


def test_where_nothing_would_tell_the_task_it_is_refused():
    found = Answer(context=False)
    assert (found.status, found.path) == ("503 Service Unavailable", None)


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"{}", b'{"validation_data": {"os_hash_algo": "sha512"}}',
                                  b'{"validation_data": {"os_hash_algo": "sha512", "os_hash_value": ""}}',
                                  b'{"validation_data": {"os_hash_algo": 5, "os_hash_value": "0"}}'])
def test_without_a_hash_it_is_refused(body):
    found = Answer(body)
    assert (found.status, found.path, found.wanted) == ("400 Bad Request", None, NONE)


@pytest.mark.parametrize(("path", "method"), [
    (f"/v2/images/{ID}/locations", "POST"), (PATH, "GET"), (PATH + "/x", "POST"), (PATH.replace("-8000-", "-"), "POST"),
    ("/v2/glance-sync/images/../locations", "POST"), (PATH + "\n", "POST")])
def test_everything_else_passes_as_it_is(path, method):
    found = Answer(path=path, method=method)
    assert (found.status, found.path, found.body, found.wanted) == ("202 Accepted", path, BODY, NONE)
