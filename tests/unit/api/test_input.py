# SPDX-License-Identifier: Apache-2.0
"""Input that no honest client sends: answered with a code and a sentence, and nothing reaches the core."""
from __future__ import annotations

import io
import json
from typing import Any

import pytest

from glancesync.conf.image_rules import parse_rules
from tests.unit.api.fakes import (
    OTHER_IMAGE,
    OWN_IMAGE,
    OWN_TASK,
    UNKNOWN_IMAGE,
    Caller,
    FakeService,
    error_of,
    new_event,
)

IMAGE = f"/v1/images/{OWN_IMAGE}"
LONG = "x" * 256


def _refused(service: FakeService, response: Any, status: int = 400) -> str:
    assert response.status_int == status, response.text
    error = error_of(response)
    assert service.calls == []
    return str(error["message"])


@pytest.mark.parametrize(("raw", "sentence"), [
    (b"{", "JSON"),
    (b"nonsense", "JSON"),
    (b'{"events": []} x', "JSON"),
    (b'{"events": NaN}', "NaN"),
    (b'{"events": -Infinity}', "Infinity"),
    (b'{"events": [], "events": []}', "twice"),
    (b'{"events": "\xff"}', "UTF-8"),
    (b"\xff\xfe{\x00}\x00", "UTF-8"),
    (b'\xef\xbb\xbf{"events": []}', "JSON"),
    (b'{"events": ["\\ud800"]}', "Unicode"),
    (b'{"events\\u0000": []}', "NUL"),
    (b'{"events": ["\\u0000"]}', "NUL"),
    (b"[" * 100_000 + b"]" * 100_000, "JSON"),
    (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "JSON"),
    (b'{"events": ' + b"9" * 10_000 + b"}", "JSON"),
    (b"null", "needs a JSON body"),
    (b"", "needs a JSON body"),
    (b"[]", "the body must be a JSON object"),
    (b'"events"', "the body must be a JSON object"),
])
def test_bodies_that_are_no_json_of_ours(admin: Caller, service: FakeService, raw: bytes, sentence: str) -> None:
    assert sentence in _refused(service, admin("POST", "/v1/events", raw=raw))


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"id": None}, "events[1].id must be"),
    ({"id": ""}, "events[1].id must be"),
    ({"id": "a b"}, "events[1].id must be"),
    ({"id": "abc\n"}, "events[1].id must be"),
    ({"id": LONG}, "events[1].id must be"),
    ({"operation": "erase"}, "events[1].operation must be one of add, save, remove, members, all"),
    ({"operation": ["save"]}, "events[1].operation must be"),
    ({"image_id": "42"}, "events[1].image_id must be a hyphenated UUID or null"),
    ({"image_id": OWN_IMAGE + "\n"}, "events[1].image_id must be"),
    ({"image_id": OTHER_IMAGE.replace("2", "G")}, "events[1].image_id must be"),
    ({"image_id": None}, "is not an image id"),
    ({"at": "now"}, "events[1].at must be a number"),
    ({"at": True}, "events[1].at must be a number"),
    ({"at": -1}, "events[1].at must be at least 0"),
    ({"at": 1e300}, "events[1].at must be less than"),
    ({"roles": "admin"}, "events[1].roles must be a list"),
    ({"roles": ["r"] * 101}, "events[1].roles must have at most 100 entries"),
    ({"request_id": "x\r\nSet-Cookie: a"}, "events[1].request_id must be"),
    ({"request_id": 5}, "events[1].request_id must be"),
    ({"user_id": LONG}, "events[1].user_id must be"),
    ({"host": {}}, "events[1].host must be"),
    ({"image": {"name": "x"}}, "events[1] has a field that is not known: 'image'"),
])
def test_one_wrong_event_refuses_the_batch(admin: Caller, service: FakeService, changes: dict[str, Any],
                                           sentence: str) -> None:
    response = admin("POST", "/v1/events", {"events": [new_event(), new_event(**changes)]})
    assert sentence in _refused(service, response)


def test_numbers_beyond_floats_are_refused(admin: Caller, service: FakeService) -> None:
    raw = json.dumps({"events": [new_event(at=4711)]}).replace("4711", "1e999").encode()
    assert "events[0].at must be less than" in _refused(service, admin("POST", "/v1/events", raw=raw))


@pytest.mark.parametrize(("path", "body", "sentence"), [
    ("/v1/events", {}, "lacks events"),
    ("/v1/events", {"events": []}, "at least 1"),
    ("/v1/events", {"events": {}}, "must be a list"),
    ("/v1/events", {"events": [new_event()] * 1001}, "at most 1000 entries"),
    ("/v1/events", {"events": [[]]}, "events[0] must be a JSON object"),
    ("/v1/events", {"events": [new_event()], "dry_run": True}, "not known: 'dry_run'"),
    ("/v1/sync", {"image_ids": []}, "at least 1"),
    ("/v1/sync", {"image_ids": OWN_IMAGE}, "image_ids must be a list"),
    ("/v1/sync", {"image_ids": [OWN_IMAGE, OWN_IMAGE]}, "twice"),
    ("/v1/sync", {"image_ids": [OWN_IMAGE[:-12] + f"{n:012}" for n in range(1001)]}, "at most 1000"),
    ("/v1/sync", {"regions": [7]}, "regions[0] must be a string"),
    ("/v1/sync", {"regions": [""]}, "regions[0] must have at least 1 characters"),
    ("/v1/sync", {"regions": ["a" * 256]}, "at most 255 characters"),
    ("/v1/sync", {"dry_run": "yes"}, "dry_run must be a boolean"),
    ("/v1/sync", {"filter": ""}, "at least 1 characters"),
    ("/v1/sync", {"filter": "nome=a"}, "filter: 'nome=a' is no condition; allowed are rules separated by ;"),
    ("/v1/sync", {"filter": "size>huge", "dry_run": True}, "'huge' is no size"),
    ("/v1/sync", {"filter": "name='a"}, "No closing quotation"),
    ("/v1/sync", {"filter": "name=a", "image_ids": [OWN_IMAGE]}, "image_ids or a filter, not both"),
    ("/v1/sync", {"dryrun": True}, "not known: 'dryrun'"),
    ("/v1/sync", {"\x1b[31m": 1}, r"not known: '\x1b[31m'"),
    ("/v1/cascaded-eps", {}, "lacks regions"),
    ("/v1/cascaded-eps", {"regions": None}, "regions must be a list"),
    (f"/v1/tasks/{OWN_TASK}/retry", {"force": True}, "not known: 'force'"),
])
def test_wrong_bodies(admin: Caller, service: FakeService, path: str, body: Any, sentence: str) -> None:
    assert sentence in _refused(service, admin("POST", path, body))


@pytest.mark.parametrize(("method", "suffix", "body", "sentence"), [
    ("PATCH", "", {"changes": []}, "changes must be a JSON object"),
    ("PATCH", "", {"removes": {}}, "removes must be a list"),
    ("PATCH", "", {"tags": {"add": "a"}}, "tags.add must be a list"),
    ("PATCH", "", {"tags": {"set": []}}, "not known: 'set'"),
    ("PUT", "", {}, "lacks body"),
    ("PUT", "", {"body": "x"}, "body must be a JSON object"),
    ("PUT", "/location", {"locations": []}, "lacks action"),
    ("PUT", "/location", {"action": "insert"}, "one of INSERT, DELETE, CLEAR"),
    ("PUT", "/location", {"action": "INSERT", "locations": [{"metadata": {}}]}, "locations[0] must be"),
    ("DELETE", "", {"locations": 1}, "locations must be a list"),
    ("DELETE", "", {"force": True}, "not known: 'force'"),
])
def test_wrong_bodies_of_the_original_routes(admin: Caller, service: FakeService, method: str, suffix: str,
                                             body: Any, sentence: str) -> None:
    assert sentence in _refused(service, admin(method, IMAGE + suffix, body))


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml",
                                          "application/json-patch+json", "application/json; charset=utf-16"])
def test_other_content_types(admin: Caller, service: FakeService, content_type: str) -> None:
    response = admin("POST", "/v1/events", {"events": [new_event()]}, headers={"Content-Type": content_type})
    _refused(service, response, 415)
    assert error_of(response)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("query", [
    "limit=0", "limit=-1", "limit=1.5", "limit=ten", "limit=", "limit=1&limit=2", "limit=99999999999",
    "limit=%D9%A1", "state=lost", "state=", "region=", "region=a%00b", "region=%ff", "region=" + LONG, "marker=x",
    "marker=" + OWN_IMAGE + "%0A", "reason_code=a%20b", "colour=red", "a=1&" * 60, "=1",
])
def test_wrong_queries(admin: Caller, service: FakeService, query: str) -> None:
    _refused(service, admin("GET", f"/v1/images?{query}"))


@pytest.mark.parametrize("image_id", ["42", "null", OWN_IMAGE.replace("1", "g"), OWN_IMAGE + "0",
                                      OWN_IMAGE.replace("-", ""), "{image_id}", "%C3%A9", "..%3B"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_ids_that_are_none(admin: Caller, service: FakeService, method: str, image_id: str) -> None:
    message = _refused(service, admin(method, f"/v1/images/{image_id}"))
    assert message == "image_id in the path must be a hyphenated UUID."


@pytest.mark.parametrize(("path", "status"), [
    ("//v1/images", 400), ("/v1//images", 400), ("/v1/images//", 400), (f"{IMAGE}%00", 400), (f"{IMAGE}%0A", 400),
    ("/v1/images/%ff", 400), ("/v1/images/%C0%AF", 400),
    (f"/v1%2fimages%2f{OWN_IMAGE}%2f..%2fx", 404), ("/v1/images/a%2fb", 404), ("/v1/../v1/images", 404),
    ("/V1/images", 404), ("/v1/Images", 404), ("/v2/images", 404), ("/v1/openapiXjson", 404),
    (f"{IMAGE}/locations", 404), (f"{IMAGE};x=1", 400), ("/v1/tasks/a.b", 400),
])
def test_odd_paths(admin: Caller, service: FakeService, path: str, status: int) -> None:
    _refused(service, admin("GET", path), status)


def test_encoded_slashes_are_slashes_and_nothing_more(admin: Caller) -> None:
    """The server in front decodes the path; what then is the path of a route is that route, with its policy."""
    assert admin("GET", f"/v1/images%2f{OWN_IMAGE}").status_int == 200


def test_a_slash_at_the_end_does_not_matter(admin: Caller) -> None:
    assert admin("GET", "/v1/images/").json == admin("GET", "/v1/images").json


# -- size ------------------------------------------------------------------------------------------------------------
class _Unread(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise AssertionError("the body was read")


def test_a_declared_length_over_the_limit_is_refused_unread(admin: Caller, service: FakeService) -> None:
    response = admin("POST", "/v1/events", environ={"CONTENT_LENGTH": str(1024 * 1024 + 1), "wsgi.input": _Unread()})
    _refused(service, response, 413)
    assert error_of(response)["code"] == "body_too_large"


@pytest.mark.parametrize("length", ["-1", "1e3", "+5", " ", "9" * 30, "٣"])
def test_lengths_that_are_none(admin: Caller, service: FakeService, length: str) -> None:
    _refused(service, admin("POST", "/v1/events", environ={"CONTENT_LENGTH": length, "wsgi.input": _Unread()}))


class _Endless:
    """A chunked body that never ends; counts what was taken of it."""

    taken = 0

    def read(self, size: int | None = None) -> bytes:
        assert size is not None
        assert size > 0
        self.taken += size
        return b" " * size


def _chunked(stream: Any) -> dict[str, Any]:
    return {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": stream, "wsgi.input_terminated": True,
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": ""}


def test_a_body_without_length_is_read_up_to_the_limit(admin: Caller, service: FakeService) -> None:
    stream = _Endless()
    response = admin("POST", "/v1/events", environ=_chunked(stream))
    _refused(service, response, 413)
    assert stream.taken <= 1024 * 1024 + 65536


def test_a_small_chunked_body_is_as_good_as_any(admin: Caller) -> None:
    stream = io.BytesIO(json.dumps({"events": [new_event()]}).encode())
    assert admin("POST", "/v1/events", environ=_chunked(stream)).status_int == 202


def test_a_refused_callers_body_is_not_read(service: FakeService, caller: Any) -> None:
    for name in ("nobody", "member"):
        response = caller(name)("POST", "/v1/events", environ=_chunked(_Unread()))
        assert response.status_int in (401, 403)


class _Broken(io.BytesIO):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def read(self, size: int | None = -1) -> bytes:
        raise self._error


@pytest.mark.parametrize(("error", "status"), [(TimeoutError(), 408), (ConnectionResetError(), 400),
                                               (ValueError("bad chunk"), 400)])
def test_a_body_that_does_not_arrive(admin: Caller, service: FakeService, error: Exception, status: int) -> None:
    _refused(service, admin("POST", "/v1/events", environ=_chunked(_Broken(error))), status)


def test_a_body_that_is_shorter_than_said(admin: Caller, service: FakeService) -> None:
    environ = {"CONTENT_LENGTH": "100", "CONTENT_TYPE": "application/json", "wsgi.input": io.BytesIO(b"{}")}
    assert "shorter" in _refused(service, admin("POST", "/v1/sync", environ=environ))


# -- what is right ---------------------------------------------------------------------------------------------------
def test_texts_that_only_look_odd_are_taken(admin: Caller, service: FakeService) -> None:
    raw = json.dumps({"events": [new_event(host="ho\\\\u0000st \u00e9\U0001f600", roles=["r\u00f4le"])]}).encode()
    assert admin("POST", "/v1/events", raw=raw).status_int == 202
    assert service.calls[0][1]["events"][0].host == "ho\\\\u0000st \u00e9\U0001f600"


def test_a_full_batch_fits(admin: Caller, service: FakeService) -> None:
    event = new_event(request_id="req-" + OWN_IMAGE, user_id="u" * 32, project_id="p" * 32,
                      roles=["admin", "member", "reader"], host="controller-1.example.org")
    events = [event | {"id": f"{number:032x}"} for number in range(1000)]
    assert admin("POST", "/v1/events", {"events": events}).status_int == 202
    assert len(service.calls[0][1]["events"]) == 1000


def test_hints_carry_the_original_trigger_and_nothing_of_the_body(admin: Caller, service: FakeService) -> None:
    admin("DELETE", f"/v1/images/{UNKNOWN_IMAGE}")
    (name, arguments), = service.calls
    assert name == "hint"
    assert arguments["image_id"] == UNKNOWN_IMAGE
    assert arguments["trigger"] == "original"


def test_sync_tells_all_from_some(admin: Caller, service: FakeService) -> None:
    admin("POST", "/v1/sync", {})
    admin("POST", "/v1/sync", {"image_ids": [OWN_IMAGE], "regions": ["RegionTwo"], "dry_run": False})
    admin("POST", "/v1/sync", {"image_ids": [OWN_IMAGE], "dry_run": True})
    asked = [(name, arguments["image_ids"], arguments["regions"]) for name, arguments in service.calls]
    assert asked == [("submit", None, None), ("submit", [OWN_IMAGE], ["RegionTwo"]), ("plan", [OWN_IMAGE], None)]


def test_a_filter_chooses_in_a_run_and_in_a_dry_run(admin: Caller, service: FakeService) -> None:
    admin("POST", "/v1/sync", {"filter": "visibility=public size<1GiB"})
    admin("POST", "/v1/sync", {"filter": "visibility=public size<1GiB", "dry_run": True})
    rules = parse_rules("visibility=public size<1073741824")
    chosen = [(name, arguments["only"]) for name, arguments in service.calls[:2]]
    assert chosen == [("submit", rules), ("plan_page", rules)]
