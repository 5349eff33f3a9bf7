# SPDX-License-Identifier: Apache-2.0
"""Streams of image bytes from and to one Glance. Called by the Glance client; holds one chunk at a time."""
from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from http.client import HTTPException
from itertools import chain, islice

import requests
from keystoneauth1 import exceptions as ksa
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.session import Session
from urllib3.exceptions import HTTPError, ReadTimeoutError

from glancesync.clock import SystemClock
from glancesync.exceptions import (
    GlanceSyncError,
    RegionUnauthorizedError,
    RegionUnavailableError,
    SourceReadError,
    TransferError,
    TransferStalledError,
)
from glancesync.regions.client import ImageData
from glancesync.regions.glance_errors import REQUEST_ID_HEADER, Call, bad_answer
from glancesync.regions.glance_http import GlanceHTTP, path_of, within
from glancesync.regions.upload_connection import upload_session

LOG = logging.getLogger(__name__)
OCTET_STREAM = "application/octet-stream"
#: A token that ends sooner is renewed before an upload: Glance checks it when the request arrives, and no second try
#: is possible.
_FRESH_TOKEN_SECONDS = 300


def start_download(http: GlanceHTTP, image_id: str) -> requests.Response:
    """A response of 200 whose body is the image, or of 204. The caller closes it."""
    call = http.call("GET", path_of(image_id, "file"))
    with within(http.timeouts.whole, call):
        response = http.send(call, headers={"Accept": f"{OCTET_STREAM}, application/json;q=0.5"},
                             timeout=(http.timeouts.connect, http.timeouts.idle))
    what = _not_image_data(response)
    if what:
        response.close()
        raise bad_answer(call, what, response.headers.get(REQUEST_ID_HEADER))
    return response


def read_download(http: GlanceHTTP, image_id: str, response: requests.Response, chunk_bytes: int) -> ImageData:
    """The bytes of a response of 200, counted."""
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isascii() and length.isdigit() else None
    call = http.call("GET", path_of(image_id, "file"))
    return ImageData(size=size, chunks=_read_chunks(call, response, chunk_bytes, size, http.timeouts.idle))


def upload(http: GlanceHTTP, image_id: str, chunks: Iterable[bytes], size: int | None) -> None:
    """See RegionClient.upload_data."""
    call = http.call("PUT", path_of(image_id, "file"))
    headers = {"Content-Type": OCTET_STREAM, "Connection": "close"}
    if size is not None:
        headers["x-openstack-image-size"] = str(size)
    body = _Body(chunks)
    _freshen_token(http.session)
    session = upload_session(http.session, http.timeouts.idle, http.timeouts.whole)
    try:
        http.send(call, session=session, data=body, headers=headers, allow_reauth=False,
                  timeout=(http.timeouts.connect, max(http.timeouts.read, http.timeouts.idle))).close()
    except _ChunksFailedError as failure:
        raise failure.reason from failure.reason.__cause__
    except TransferStalledError as error:
        raise TransferStalledError(f"{call} stalled after {body.bytes_given} bytes: {error}",
                                   region=call.region) from error
    except RegionUnauthorizedError:
        http.session.invalidate()
        raise
    except RegionUnavailableError as error:
        raise _broken(call, body, error) from error
    finally:
        session.session.close()
    if not body.complete:
        raise TransferError(f"{call} was answered with success after {body.bytes_given} bytes, before the last one; "
                            "what stands there is not the image", region=call.region)


class _ChunksFailedError(Exception):
    """Carries an error out of `chunks` past an HTTP stack that would take it for one of its own."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _Body:
    """What is sent: the chunks, once, and how far it came.

    The first chunk is taken before there is a request: a source that fails at once leaves the target untouched.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        rest = iter(chunks)
        self._chunks = chain(list(islice(rest, 1)), rest)
        self.started = False
        self.complete = False
        self.bytes_given = 0

    def __iter__(self) -> Iterator[bytes]:
        if self.started:
            raise _ChunksFailedError(TransferError("the bytes of an upload cannot be sent a second time"))
        self.started = True
        try:
            for chunk in self._chunks:
                self.bytes_given += len(chunk)
                yield chunk
        except (GlanceSyncError, OSError, HTTPException, HTTPError, ksa.ClientException) as reason:
            raise _ChunksFailedError(reason) from reason
        self.complete = True


def _read_chunks(call: Call, response: requests.Response, chunk_bytes: int, size: int | None,
                 idle_seconds: float) -> Iterator[bytes]:
    count = 0
    try:
        while chunk := _read_chunk(response, chunk_bytes, idle_seconds):
            count += len(chunk)
            yield chunk
    except ReadTimeoutError as error:
        raise SourceReadError(f"{call} gave no byte for too long after {count} of {size} bytes",
                              region=call.region) from error
    except TimeoutError as error:
        raise SourceReadError(f"{call} drips: {chunk_bytes} bytes took {idle_seconds:g} s, after {count} of {size}",
                              region=call.region) from error
    except (HTTPError, OSError) as error:
        raise SourceReadError(f"{call} broke off after {count} of {size} bytes", region=call.region) from error
    if size is not None and count != size:
        raise SourceReadError(f"{call} ended after {count} of {size} bytes", region=call.region)


def _read_chunk(response: requests.Response, chunk_bytes: int, idle_seconds: float) -> bytes:
    """So many bytes, fewer at the end. A source that drips has as long for a chunk as one may stand still: single bytes
    would keep it alive for ever. Raises TimeoutError."""
    clock, pieces, missing = SystemClock(), [], chunk_bytes
    deadline = clock.monotonic() + idle_seconds
    while missing and (piece := response.raw.read1(missing, decode_content=False)):
        pieces.append(piece)
        missing -= len(piece)
        if missing and clock.monotonic() > deadline:
            raise TimeoutError
    return b"".join(pieces)


def _not_image_data(response: requests.Response) -> str | None:
    """What is wrong with an answer of success to a GET of bytes."""
    if response.status_code == 204:
        return None
    if response.status_code != 200:
        return f"status {response.status_code} for a whole image"
    if not response.headers.get("Content-Type", "").lower().startswith(OCTET_STREAM):
        return "its body is no image data"
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return "its body is encoded"
    return None


def _freshen_token(session: Session) -> None:
    auth = session.auth
    if isinstance(auth, BaseIdentityPlugin):
        try:
            if auth.get_access(session).will_expire_soon(_FRESH_TOKEN_SECONDS):
                auth.invalidate()
        except ksa.ClientException as error:
            LOG.debug("no token before an upload, the request itself will say why: %s", type(error).__name__)


def _broken(call: Call, body: _Body, error: RegionUnavailableError) -> Exception:
    """A connection that ended without an answer is a matter of the transfer once bytes were on their way."""
    if not body.started or not isinstance(error.__cause__, ksa.ClientException):
        return error
    if isinstance(error.__cause__, ksa.ConnectTimeout):
        return TransferStalledError(f"{call} was not answered in time after {body.bytes_given} bytes",
                                    region=call.region)
    return TransferError(f"{call} broke off after {body.bytes_given} bytes without an answer", region=call.region)
