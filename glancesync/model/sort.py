# SPDX-License-Identifier: Apache-2.0
"""In which order a listing is shown: what API, service and queue say to each other."""
from __future__ import annotations

from dataclasses import dataclass

#: By what GET /v1/images and GET /v1/tasks may be sorted.
IMAGE_KEYS = ("id", "name", "owner", "status", "size", "updated_at")
TASK_KEYS = ("created_at", "updated_at", "run_at", "image_id", "region", "state", "attempts")


@dataclass(frozen=True, kw_only=True)
class Sort:
    """Rows of the same key are told apart by their id. Rows without the key's value come first in ascending order.

    A page begins after its marker as that is now: rows whose key changes between two pages may be missed or repeated.
    """

    key: str
    descending: bool = False


BY_ID = Sort(key="id")
NEWEST_FIRST = Sort(key="created_at", descending=True)
