# SPDX-License-Identifier: Apache-2.0
"""Members of the images of a window, which no listing shows. Called by reconcile."""
from __future__ import annotations

from collections.abc import Mapping

from glancesync.concurrency import GreenPool
from glancesync.exceptions import ImageNotFoundError, RegionForbiddenError
from glancesync.model.image import Image, Member
from glancesync.regions.client import RegionClient

#: Requests for members, of source and target together.
_MEMBERS_AT_ONCE = 4


class Members:
    """Members of one side's images, read at most once a window whatever the number of regions."""

    def __init__(self, client: RegionClient) -> None:
        self._client = client
        self._found: dict[str, tuple[Member, ...] | None] = {}

    def get(self, image_id: str) -> tuple[Member, ...] | None:
        if image_id not in self._found:
            self._found[image_id] = _list_members(self._client, image_id)
        return self._found[image_id]


def read_members(sources: Members, window: Mapping[str, Image], replicas: Members,
                  images: Mapping[str, Image]) -> None:
    """Ask for the members of all shared images of a window, some at a time: no listing shows them. Raises the first
    error."""
    wanted = [(members, image_id) for image_id in window for members, shown in ((sources, window), (replicas, images))
              if image_id in shown and shown[image_id].visibility == "shared"]
    for _members in GreenPool(_MEMBERS_AT_ONCE).imap(lambda each: each[0].get(each[1]), wanted):
        continue


def _list_members(client: RegionClient, image_id: str) -> tuple[Member, ...] | None:
    """None when the image went away or is no longer shared since it was listed: its own event reports that."""
    try:
        return client.list_members(image_id)
    except (ImageNotFoundError, RegionForbiddenError):
        return None
