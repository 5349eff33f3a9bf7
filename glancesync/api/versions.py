# SPDX-License-Identifier: Apache-2.0
"""Microversions, by the header `OpenStack-API-Version: image-sync 1.0`. A change that callers see raises MAXIMUM."""
from __future__ import annotations

import re
from typing import NamedTuple

from glancesync.exceptions import InvalidInputError

HEADER = "OpenStack-API-Version"
SERVICE_TYPE = "image-sync"


class ApiVersion(NamedTuple):
    major: int
    minor: int

    @property
    def text(self) -> str:
        return f"{self.major}.{self.minor}"


MINIMUM = ApiVersion(1, 0)
MAXIMUM = ApiVersion(1, 0)


def has_versions(path: str) -> bool:
    """Whether microversions apply there: discovery must answer whoever does not know them yet."""
    return path.rstrip("/").startswith("/v1/")


def requested_version(header: str) -> ApiVersion:
    """The version that the header asks this service for: the oldest where it names none.

    Raises InvalidInputError when it cannot be read. Whether it is supported is the caller's question.
    """
    found = MINIMUM
    for part in filter(None, map(str.strip, header.split(","))):
        service, _, text = part.partition(" ")
        if service.lower() != SERVICE_TYPE:
            continue
        found = _parse(text.strip())
    return found


def _parse(text: str) -> ApiVersion:
    if text.lower() == "latest":
        return MAXIMUM
    match = re.fullmatch(r"(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})", text, re.ASCII)
    if match is None:
        raise InvalidInputError(f"{HEADER} must be '{SERVICE_TYPE} <major>.<minor>' or '{SERVICE_TYPE} latest'.")
    return ApiVersion(int(match[1]), int(match[2]))
