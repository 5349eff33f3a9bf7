# SPDX-License-Identifier: Apache-2.0
"""What the demo does to its images afterwards, and how it sees that a region followed. Called by `demo`."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from glancesync.lab.images import Images


@dataclass(frozen=True, kw_only=True)
class Change:
    """`apply` is done by the image's owner in the cascading region; `is_seen` looks at one cascaded region."""

    title: str
    image: str
    user: str
    apply: Callable[[Images, str], object]
    is_seen: Callable[[Images, str], bool]


def _field_is(name: str, value: object) -> Callable[[Images, str], bool]:
    return lambda there, image_id: (there.find(image_id) or {}).get(name) == value


def _set(**fields: object) -> Callable[[Images, str], object]:
    return lambda ours, image_id: ours.set(image_id, **fields)


CHANGES = (
    Change(title="renamed", image="small", user="demo", apply=_set(name="small, renamed"),
           is_seen=_field_is("name", "small, renamed")),
    Change(title="a property set", image="odd properties", user="demo", apply=_set(os_distro="debian"),
           is_seen=_field_is("os_distro", "debian")),
    Change(title="a tag removed", image="cloud disk", user="demo",
           apply=lambda ours, image_id: ours.remove_tag(image_id, "golden"), is_seen=_field_is("tags", ["2026"])),
    Change(title="shown again", image="hidden", user="demo", apply=_set(os_hidden=False),
           is_seen=_field_is("os_hidden", False)),
    Change(title="unprotected", image="protected", user="rival", apply=_set(protected=False),
           is_seen=_field_is("protected", False)),
    Change(title="deactivated", image="large", user="admin",
           apply=lambda ours, image_id: ours.deactivate(image_id), is_seen=_field_is("status", "deactivated")),
    Change(title="deleted", image="empty", user="demo",
           apply=lambda ours, image_id: ours.delete(image_id),
           is_seen=lambda there, image_id: there.find(image_id) is None),
)


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A change that one region has not shown yet. `since` is the monotonic time at which it was made."""

    change: Change
    region: str
    image_id: str
    since: float


def pending_changes(image_ids: Mapping[str, str], regions: tuple[str, ...],
                    made_at: Mapping[str, float]) -> list[Pending]:
    """One for each change and region. `image_ids` and `made_at` go by the image's and the change's name."""
    return [Pending(change=change, region=region, image_id=image_ids[change.image], since=made_at[change.title])
            for change in CHANGES for region in regions]
