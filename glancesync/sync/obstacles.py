# SPDX-License-Identifier: Apache-2.0
"""Whether a region will take an image at all, from what is known of it (pure). Called by preflight; shown by plans."""
from __future__ import annotations

from dataclasses import dataclass, field

from glancesync.model.facts import GlanceFacts
from glancesync.model.image import Image
from glancesync.sync.codes import Code

#: What a store's disk keeps: a full one hurts everybody on it.
_SPARE_BYTES = 64 * 2 ** 20


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Why the image is not to be copied to the region now."""

    code: Code
    reason: str


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """What is known of a region. `free_bytes` on its store's disk, less what was let pass since; None: not known."""

    region: str
    facts: GlanceFacts = field(default_factory=GlanceFacts)
    free_bytes: int | None = None
    max_image_bytes: int = 0


def find_obstacle(image: Image, ready: Readiness) -> Obstacle | None:
    """Why the image's bytes would not be taken; None where nothing is known against it."""
    size = image.size or 0
    if ready.max_image_bytes and size > ready.max_image_bytes:
        return Obstacle(code=Code.IMAGE_TOO_LARGE, reason=f"the image has {size} bytes; [transfer] max_image_bytes "
                                                          f"lets {ready.max_image_bytes} pass")
    for kind, wanted, taken in (("disk", image.disk_format, ready.facts.disk_formats),
                                ("container", image.container_format, ready.facts.container_formats)):
        if wanted is not None and taken is not None and wanted not in taken:
            return Obstacle(code=Code.FORMAT_NOT_ENABLED,
                            reason=f"{ready.region} takes no {kind} format {wanted}, but {', '.join(sorted(taken))}")
    return _find_quota(size, ready) or _find_full(size, ready)


def _find_quota(size: int, ready: Readiness) -> Obstacle | None:
    """Replicas are our project's until they are handed over, and Glance counts when an image is made and filled."""
    for name, more in (("image_size_total", size), ("image_count_total", 1), ("image_count_uploading", 1)):
        quota = ready.facts.quotas.get(name)
        if quota is not None and quota.limit is not None and quota.used + more > quota.limit:
            return Obstacle(code=Code.QUOTA_SHORT, reason=f"{ready.region} gives our project {quota.limit} of {name}, "
                                                          f"{quota.used} are used and {more} would be added")
    return None


def _find_full(size: int, ready: Readiness) -> Obstacle | None:
    if ready.free_bytes is None or size + _SPARE_BYTES <= ready.free_bytes:
        return None
    return Obstacle(code=Code.STORE_SPACE_SHORT, reason=f"{ready.free_bytes} bytes are free where {ready.region} keeps "
                                                        f"its images, the image has {size}")
