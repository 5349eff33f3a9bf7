# SPDX-License-Identifier: Apache-2.0
"""One try to give a replica its bytes by one driver from one region."""
from __future__ import annotations

from dataclasses import dataclass

#: The code of one that went well; else it is an error's.
OK = "ok"


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """`began_at` is in seconds since the epoch. `bytes_moved`: how many had arrived at its end, as far as they could be
    seen. `reason` is the error's text, None where `code` is `ok`."""

    task_id: str
    image_id: str
    region: str
    source_region: str
    driver: str
    began_at: float
    seconds: float
    bytes_moved: int
    code: str
    reason: str | None = None
