# SPDX-License-Identifier: Apache-2.0
"""Which rows of a plan a person wants to see. Pure; used by `run --dry-run` and `diff`."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Nothing is to be done here, and nothing is wrong.
_QUIET = ("in_sync", "deleted", "unwanted", "cannot_travel")


def stands_out(plan: Mapping[str, Any]) -> bool:
    """Whether the pair differs: something would be done, or should be and cannot."""
    return bool(plan["actions"]) or plan["state"] not in _QUIET


def is_difference(plan: Mapping[str, Any]) -> bool:
    """Of what stands out, whatever is not merely an image that somebody else put into a region."""
    return bool(plan["reason_code"] != "foreign")
