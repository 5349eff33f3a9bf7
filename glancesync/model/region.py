# SPDX-License-Identifier: Apache-2.0
"""A region: a place with one Glance."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, order=True)
class Region:
    """`endpoint` is the image endpoint's URL that this server uses, without a version and trailing slash."""

    name: str
    endpoint: str
    cascading: bool = False
