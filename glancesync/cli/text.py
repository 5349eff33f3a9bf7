# SPDX-License-Identifier: Apache-2.0
"""How values look to a person. Pure; used by the commands."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glancesync.model.text import inert

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(count_bytes: float | None) -> str:
    """`1.5 GiB`; nothing for None."""
    if count_bytes is None:
        return ""
    value, unit = float(count_bytes), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `75 s`, `12 min`, `3 h`, `2 d`; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} d"


def progress(done: int | None, total: int | None) -> str:
    """`45 % of 1.0 GiB`; nothing where it is not known."""
    if done is None or total is None:
        return ""
    if total == 0:
        return "100 % of 0 B"
    return f"{100 * done // total} % of {size(total)}"


def standing(replica: Mapping[str, Any]) -> str:
    """One cell of the matrix: the state, and the share of the bytes while they travel, or the reason code."""
    state = str(replica["state"])
    done, total = replica.get("bytes_done"), replica.get("bytes_total")
    if state == "copying" and done is not None and total:
        return f"{state} {100 * done // total} %"
    code = replica.get("reason_code")
    return f"{state} ({inert(str(code))})" if code and state not in ("in_sync", "deleted") else state
