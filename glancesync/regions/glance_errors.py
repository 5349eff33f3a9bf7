# SPDX-License-Identifier: Apache-2.0
"""What a Glance answered, as an error of our tree. Pure; called by glance_http and glance_data.

A deletion hangs on the difference between "this image is not there" and "this is not the place to ask": only an answer
that carries Glance's request id and names the image in its sentence makes an ImageNotFoundError. A proxy's page, a
wrong path and a policy that hides everything do not.
"""
from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from keystoneauth1 import exceptions as ksa

from glancesync import exceptions as exc

REQUEST_ID_HEADER = "x-openstack-request-id"
EXCERPT_LIMIT = 200
#: Fernet tokens and JSON web tokens, as a proxy's page might echo them.
_TOKEN = re.compile(r"gAAAA[\w=-]{16,}|eyJ[\w-]{8,}(\.[\w-]+)+")
_PATH = re.compile(r"/v2/images/(?P<image>[^/?]+)(/members/(?P<member>[^/?]+))?")
#: What Glance says when its store raises StorageFull; a quota or a size cap has other words, and does not pass.
_FULL = "storage media is full"
_BY_STATUS: dict[int, type[exc.GlanceSyncError]] = {
    401: exc.RegionUnauthorizedError,
    403: exc.RegionForbiddenError,
    404: exc.RegionAnswerError,
    408: exc.RegionUnavailableError,
    409: exc.RegionConflictError,
    410: exc.RegionConflictError,   # the image went away during an upload, or its store takes nothing now
    413: exc.RegionQuotaError,
    425: exc.RegionBusyError,
    429: exc.RegionBusyError,
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request: for sentences about it, and for the image and member that its path is about."""

    region: str
    method: str
    path: str

    @property
    def image_id(self) -> str | None:
        return self._of_path("image")

    @property
    def member_id(self) -> str | None:
        return self._of_path("member")

    def _of_path(self, group: str) -> str | None:
        found = _PATH.match(self.path)
        return unquote(found[group]) if found and found[group] else None

    def __str__(self) -> str:
        return f"{self.method} {self.path} in {self.region}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Status, headers (any case) and the beginning of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def request_id(self) -> str | None:
        return self.headers.get(REQUEST_ID_HEADER)

    def text(self) -> str:
        """The body as one line of a person's text: Glance's message, or a page without its markup."""
        text = self.body.decode("utf-8", "replace")
        try:
            data = json.loads(text)
        except ValueError:
            data = None
        if isinstance(data, dict) and isinstance(data.get("message"), str):
            text = data["message"]
        text = html.unescape(re.sub(r"<[^<>]{0,200}>", " ", text))
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())

    def excerpt(self) -> str:
        """At most 200 printable characters without tokens."""
        return _TOKEN.sub("***", self.text())[:EXCERPT_LIMIT]


def error_from_answer(call: Call, answer: Answer, *, now: datetime | None = None) -> exc.GlanceSyncError:
    """The error that an answer of no success stands for."""
    return _class_of(call, answer)(_sentence(call, answer), request_id=answer.request_id, region=call.region,
                                   retry_after_seconds=retry_after_seconds(answer.headers, now=now))


def error_from_failure(call: Call, failure: Exception) -> exc.RegionError:
    """The error that a request without an answer stands for."""
    reason = _TOKEN.sub("***", str(failure))[:EXCERPT_LIMIT]
    if isinstance(failure, ksa.Unauthorized | ksa.AuthorizationFailure):
        return exc.KeystoneRefusedError(f"Keystone refused the service user before {call}: {reason}; "
                                        "see the credentials under [keystone]", region=call.region)
    if isinstance(failure, ksa.ConnectTimeout):
        return exc.RegionUnavailableError(f"{call} timed out", region=call.region)
    return exc.RegionUnavailableError(f"{call} got no answer: {reason}", region=call.region)


def error_from_login(call: Call, failure: Exception) -> exc.RegionError:
    """The error of a request that was not made, because there was no token for it."""
    if isinstance(failure, ksa.Unauthorized | ksa.AuthorizationFailure):
        return error_from_failure(call, failure)
    reason = _TOKEN.sub("***", str(failure))[:EXCERPT_LIMIT]
    return exc.KeystoneUnavailableError(f"Keystone gave no token for {call}: {reason}", region=call.region)


def bad_answer(call: Call, what: str, request_id: str | None = None) -> exc.RegionAnswerError:
    """An answer of success that is not what the protocol allows."""
    return exc.RegionAnswerError(f"{call} gave an answer that is not Glance's: {what}", request_id=request_id,
                                 region=call.region)


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Seconds that Retry-After asks for (a number or a date), None where it asks for nothing sensible."""
    value = (headers.get("Retry-After") or "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _class_of(call: Call, answer: Answer) -> type[exc.GlanceSyncError]:
    if answer.status == 404:
        return _not_found(call, answer)
    if answer.status == 413 and _FULL in answer.text():
        return exc.RegionFullError
    if answer.status == 503 and answer.headers.get("Retry-After"):
        return exc.RegionBusyError
    if answer.status >= 500:
        return exc.RegionUnavailableError
    if answer.status < 400:
        return exc.RegionAnswerError
    return _BY_STATUS.get(answer.status, exc.RegionRejectedError)


def _not_found(call: Call, answer: Answer) -> type[exc.GlanceSyncError]:
    text = answer.text()
    if not answer.request_id or not _names(text, call.image_id):
        return exc.RegionAnswerError
    return exc.MemberNotFoundError if _names(text, call.member_id) else exc.ImageNotFoundError


def _names(text: str, thing: str | None) -> bool:
    """Whether the sentence speaks of it; a path that a page repeats does not count."""
    return bool(thing) and re.search(rf"(?<![\w/-]){re.escape(thing or '')}(?![\w/-])", text) is not None


def _sentence(call: Call, answer: Answer) -> str:
    request = f" (request {answer.request_id})" if answer.request_id else ""
    excerpt = answer.excerpt()
    return f"{call} answered {answer.status}{request}" + (f": {excerpt}" if excerpt else "")
