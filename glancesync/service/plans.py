# SPDX-License-Identifier: Apache-2.0
"""What a dry run shows, whole or page by page. Called by the core."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from glancesync.conf.image_rules import ImageRules
from glancesync.exceptions import InvalidInputError, RegionError
from glancesync.sync.actions import CopyBytes, describe
from glancesync.sync.findings import Finding, PassReport
from glancesync.sync.reconcile import Reconciler
from glancesync.sync.situation import Plan

#: The id that ended the window before, and how many findings of the window were shown.
_MARKER = re.compile(r"([0-9a-fA-F-]{36})?:(\d{1,9})")


def plan_view(image_id: str, region: str, plan: Plan) -> dict[str, Any]:
    """A plan as a person reads it; `bytes` is what would be copied."""
    size = sum(action.size or 0 for action in plan.actions if isinstance(action, CopyBytes))
    return {"image_id": image_id, "region": region, "state": plan.state.value, "reason_code": plan.code,
            "reason": plan.reason, "actions": [describe(action) for action in plan.actions], "bytes": size}


@dataclass(frozen=True, kw_only=True)
class PlanPage:
    """`marker`: where the next page begins, None at the end. `left_out`: regions that could not be compared to their
    end while this page was made, and why; what is not told of them may differ."""

    rows: list[dict[str, Any]]
    marker: str | None
    left_out: dict[str, str]


def plan_images(plan: Callable[[str, str], Plan], image_ids: Sequence[str], regions: Sequence[str]) -> PlanPage:
    """What `plan` says of each of the images in each of the regions, image by image; a region that cannot tell is
    asked no more. Raises the errors of `plan` that are no region's of these."""
    rows, left_out = [], {}
    for image_id in image_ids:
        for name in regions:
            if name in left_out:
                continue
            try:
                rows.append(plan_view(image_id, name, plan(image_id, name)))
            except RegionError as error:
                if error.region != name:
                    raise
                left_out[name] = str(error)
    return PlanPage(rows=[row for row in rows if row["region"] not in left_out], marker=None, left_out=left_out)


def read_page(reconciler: Reconciler, *, regions: Sequence[str] | None, limit: int, marker: str | None,
              only: ImageRules | None = None) -> PlanPage:
    """At most `limit` findings after the marker. A finding has no place of its own in the order of all, but one in its
    window, and windows are in the order of ids."""
    report = PassReport()
    rows, following = _read(reconciler.compare(report, regions=regions, dry=True, after=_parse(marker)[0], only=only),
                            marker=marker, limit=limit)
    return PlanPage(rows=rows, marker=following, left_out={
        name: seen.error for name, seen in sorted(report.regions.items()) if seen.error is not None})


def _read(findings: Iterable[Finding], *, marker: str | None,
          limit: int) -> tuple[list[dict[str, Any]], str | None]:
    after, shown = _parse(marker)
    window, number, found = after, 0, []
    for finding in findings:
        if finding.window != window:
            window, number = finding.window, 0
        number += 1
        if window == after and number <= shown:
            continue
        if len(found) == limit:
            return found, f"{window}:{number - 1}"
        found.append(plan_view(finding.image_id, finding.region, finding.plan))
    return found, None


def _parse(marker: str | None) -> tuple[str, int]:
    match = _MARKER.fullmatch(marker or ":0")
    if match is None:
        raise InvalidInputError("marker is none that a dry run gave; begin without one")
    return match[1] or "", int(match[2])
