# SPDX-License-Identifier: Apache-2.0
"""Requests to one Glance: glanceclient's HTTP client, bounded and with our errors. Called by `glance`, `glance_data`.

glanceclient's own controllers run over it unchanged; calls whose cost matters use it directly and skip glanceclient's
models (a schema check for each image) and its hashing of downloads.
"""
from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests
from glanceclient.common.http import SessionClient
from keystoneauth1 import exceptions as ksa
from keystoneauth1.session import Session
from urllib3.exceptions import HTTPError

from glancesync.clock import SystemClock
from glancesync.concurrency import Timeout, is_green
from glancesync.exceptions import GlanceSyncError, RegionAnswerError, RegionUnavailableError
from glancesync.regions.glance_errors import (
    REQUEST_ID_HEADER,
    Answer,
    Call,
    bad_answer,
    error_from_answer,
    error_from_failure,
    error_from_login,
)

LOG = logging.getLogger(__name__)
JSON_LIMIT_BYTES = 16 * 1024 * 1024
_ERROR_BODY_BYTES = 16 * 1024
_ERROR_BODY_SECONDS = 10.0
_PIECE_BYTES = 65536


class AnswerTooLargeError(RegionAnswerError):
    """More JSON than this client reads; a listing can ask for less."""


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds: to connect, to wait for an answer or its next part, for which a stream of bytes may stand still, and for
    a whole request without image bytes, from its token to the end of its answer."""

    connect: float
    read: float
    idle: float
    whole: float = 300


class GlanceHTTP(SessionClient):
    """One endpoint. No redirect is followed, nothing is sent twice (but once with a new token after a 401 where
    `allow_reauth`), no JSON over 16 MiB is read, and every failure is a GlanceSyncError that names the region."""

    def __init__(self, session: Session, *, region_name: str, endpoint: str, timeouts: Timeouts) -> None:
        super().__init__(session)
        self.region_name = region_name
        self.endpoint = endpoint.rstrip("/")
        self.timeouts = timeouts

    def request(self, url: str, method: str, **kwargs: Any) -> tuple[requests.Response, Any]:
        """One request without image bytes: the response and its JSON, None where it has no body. glanceclient's
        controllers come through this door too."""
        call = self.call(method, url)
        if (data := kwargs.pop("data", None)) is not None:
            kwargs["json"] = data
        with within(self.timeouts.whole, call):
            response = self.send(call, **kwargs)
            try:
                return response, read_json(response, call, self.timeouts.whole)
            except requests.RequestException as failure:
                raise error_from_failure(call, failure) from failure
            finally:
                response.close()

    def call(self, method: str, path: str) -> Call:
        return Call(region=self.region_name, method=method, path=path)

    def send(self, call: Call, *, session: Session | None = None, headers: dict[str, str] | None = None,
             timeout: tuple[float, float] | None = None, **kwargs: Any) -> requests.Response:
        """One request; the response of a success with its body not read yet. The caller closes it."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"} | (headers or {})
        session = session or self.session
        try:
            session.get_auth_headers()
        except ksa.ClientException as failure:
            raise error_from_login(call, failure) from failure
        try:
            response = session.request(
                self.endpoint + call.path, call.method, headers=headers, raise_exc=False, redirect=False, log=False,
                stream=True, connect_retries=0, status_code_retries=0, user_agent=self.user_agent,
                timeout=timeout or (self.timeouts.connect, self.timeouts.read), **kwargs)
        except ksa.ClientException as failure:
            raise error_from_failure(call, failure) from failure
        LOG.debug("%s answered %s (request %s)", call, response.status_code, response.headers.get(REQUEST_ID_HEADER))
        if not 200 <= response.status_code < 300:
            raise refusal(call, response)
        return response


def refusal(call: Call, response: requests.Response) -> GlanceSyncError:
    """The error that a response of no success stands for; reads the beginning of its body and closes it."""
    try:
        body = _read(response, _ERROR_BODY_BYTES, _ERROR_BODY_SECONDS)[:_ERROR_BODY_BYTES]
    except requests.RequestException:
        body = b""  # the status is known, and says more than that its body was cut off
    finally:
        response.close()
    token = response.request.headers.get("X-Auth-Token")
    if token:
        token = token.encode() if isinstance(token, str) else token
        body = body.replace(token, b"***")
    return error_from_answer(call, Answer(status=response.status_code, headers=response.headers, body=body))


def path_of(image_id: str, *more: str) -> str:
    """The path of an image or of something of it."""
    return "/".join(("/v2/images", *(quote(part, safe="") for part in (image_id, *more))))


def read_json(response: requests.Response, call: Call, seconds: float = 300) -> Any:
    """The JSON of a success, None where it has no body. Raises RegionAnswerError, and requests' errors when the
    connection breaks or the body takes longer than so many seconds."""
    request_id = response.headers.get(REQUEST_ID_HEADER)
    body = _read(response, JSON_LIMIT_BYTES, seconds)
    if len(body) > JSON_LIMIT_BYTES:
        raise AnswerTooLargeError(f"{call} gave more than {JSON_LIMIT_BYTES} bytes of JSON", request_id=request_id,
                                  region=call.region)
    if not body:
        return None
    if not response.headers.get("Content-Type", "").lower().startswith("application/json"):
        raise bad_answer(call, "its body is no JSON", request_id)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise bad_answer(call, "its JSON cannot be read", request_id) from None


def _read(response: requests.Response, limit: int, seconds: float) -> bytes:
    """The body; not more than one piece over the limit, and not for longer than so many seconds and a read time-out."""
    pieces, size, clock = [], 0, SystemClock()
    deadline = clock.monotonic() + seconds
    try:
        # Not iter_content: it waits until a piece is full, however slowly its bytes drip.
        while size <= limit and (piece := response.raw.read1(_PIECE_BYTES, decode_content=True)):
            pieces.append(piece)
            size += len(piece)
            if clock.monotonic() > deadline:
                raise requests.ReadTimeout(f"its body took longer than {seconds:g} s")
    except HTTPError as error:
        raise requests.ConnectionError(error) from error
    return b"".join(pieces)


@contextmanager
def within(seconds: float, call: Call) -> Iterator[None]:
    """Bound everything that a request does, headers that drip too. Only a green process can: elsewhere each wait has
    its own bound, and a body a common one."""
    if not is_green():
        yield
        return
    with Timeout(seconds, RegionUnavailableError(f"{call} took longer than {seconds:g} s", region=call.region)):
        yield
