# SPDX-License-Identifier: Apache-2.0
"""Reads a request's body as strict JSON: one value, no name twice, no NaN, nothing that cannot be stored."""
from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import webob

from glancesync.api.errors import HttpError
from glancesync.exceptions import InvalidInputError


def read_json(request: webob.Request) -> Any:
    """The body's JSON value, None where there is no body.

    Raises InvalidInputError, BodyTooLargeError (from the limit in the pipeline), HttpError (415, 408).
    """
    raw = _read(request)
    if not raw:
        return None
    if request.content_type != "application/json" or (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise HttpError(415, "The body must be JSON in UTF-8: Content-Type: application/json.")
    return parse_json(raw)


def parse_json(raw: bytes) -> Any:
    """One strict JSON value; raises InvalidInputError."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInputError("The body is not valid UTF-8.") from None
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except InvalidInputError:
        raise
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidInputError(f"The body is not JSON that this server takes{place}.") from None
    if "\\u" in text:
        _check_texts(value)
    return value


def _read(request: webob.Request) -> bytes:
    stream = request.environ["wsgi.input"]
    length = request.content_length
    if length is None and "HTTP_TRANSFER_ENCODING" not in request.environ:
        return b""
    try:
        raw: bytes = stream.read() if length is None else stream.read(length)
    except TimeoutError:
        raise HttpError(408, "The body did not arrive in time.") from None
    except (OSError, ValueError):
        raise InvalidInputError("The body could not be read to its end.") from None
    if length is not None and len(raw) < length:
        raise InvalidInputError("The body is shorter than its Content-Length.")
    return raw


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidInputError("The body has an object with the same field twice.")
    return found


def _no_constant(name: str) -> Any:
    raise InvalidInputError(f"The body holds {name}, which is not JSON.")


def _check_texts(value: Any) -> None:
    # Only escapes can smuggle in what neither a database nor a log takes: lone surrogates and NUL.
    for text in _texts(value):
        if "\0" in text:
            raise InvalidInputError("The body holds a NUL character.")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidInputError("The body holds a text that is not valid Unicode.") from None


def _texts(value: Any) -> Iterator[str]:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from item
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
