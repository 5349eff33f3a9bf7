# SPDX-License-Identifier: Apache-2.0
"""What a comparison tells: each pair that stands out, and the figures of the pass. Made by reconcile, read by the
service and the commands."""
from __future__ import annotations

from dataclasses import dataclass, field

from glancesync.sync.situation import Plan


@dataclass(frozen=True, kw_only=True)
class Lack:
    """An image of which a region has nothing: when it was created (seconds since the epoch), its size in bytes."""

    created_at: float
    size: int


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A pair that stands out, and what a run would do as far as a listing shows. `run` is whether there is something to
    do or to write down (not where nobody knows whether the image belongs there); `missing` that the replica is ours and
    its image was not listed; `foreign` that the region's image is not ours, which is only reported; `disallowed` that a
    replica is to be removed from where it does not belong; `window` is the id with which the window before its own
    ended; `lacks` is set where a replica is to be made."""

    image_id: str
    region: str
    plan: Plan
    run: bool = True
    missing: bool = False
    foreign: bool = False
    disallowed: bool = False
    window: str = ""
    lacks: Lack | None = None


#: Of so many foreign images of a region a report tells the ids; a dry run tells them all.
FOREIGN_TOLD = 1000


@dataclass(kw_only=True)
class RegionReport:
    """What a pass saw in one region. `surplus` counts replicas of ours without an image, `foreign` images that are not
    ours, `foreign_ids` are the first of them; a region with an `error` was not compared to its end."""

    images: int = 0
    findings: int = 0
    surplus: int = 0
    foreign: int = 0
    foreign_ids: list[str] = field(default_factory=list)
    error: str | None = None


@dataclass(kw_only=True)
class PassReport:
    """One comparison. `id` sorts by the time of its beginning. `complete`: the source was listed to its end, and the
    canary was in it; `tasks`: so many were submitted because of it; `lacking`: so many pairs fill regions in
    their turn."""

    id: str = ""
    images: int = 0
    complete: bool = False
    tasks: int = 0
    lacking: int = 0
    regions: dict[str, RegionReport] = field(default_factory=dict)

    def compared_regions(self) -> list[str]:
        """Those that were seen whole."""
        return sorted(name for name, report in self.regions.items() if report.error is None)
