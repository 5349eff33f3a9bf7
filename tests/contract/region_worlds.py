# SPDX-License-Identifier: Apache-2.0
"""The implementations of RegionClient, each with what the contract's tests need around it."""
from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace

from glancesync.exceptions import NotFoundError
from glancesync.model.image import Image, ImageChanges, NewImage
from glancesync.regions.client import RegionClient
from glancesync.regions.glance_json import parse_image
from glancesync.regions.memory import MemoryRegion
from tests.fixtures.images import Images


def a_new_image(**fields: object) -> NewImage:
    """A create request of an image with a fresh id."""
    plain = NewImage(id=str(uuid.uuid4()), name="contract", owner=None, visibility="shared", protected=False,
                     os_hidden=False, disk_format="raw", container_format="bare", min_disk=1, min_ram=2,
                     tags=frozenset({"one", "two"}), properties={"os_distro": "debian"})
    return replace(plain, **fields)  # type: ignore[arg-type]


class World:
    """A client, and images that other projects made. `burst` is a size no socket buffer swallows at once; `peer` is
    another region, in which `peer_image` makes an active image that is not ours."""

    burst_bytes = 1024 * 1024

    def __init__(self, client: RegionClient, make_foreign: Callable[[str, bool], str], peer: str,
                 peer_image: Callable[[bytes], Image]) -> None:
        self.client = client
        self.peer = peer
        self.peer_image = peer_image
        self.make_foreign = make_foreign
        self._made: list[str] = []

    def create(self, **fields: object) -> Image:
        new = a_new_image(**fields)
        self._made.append(new.id)
        return self.client.create_image(new)

    def create_active(self, data: bytes = b"bytes of an image", **fields: object) -> Image:
        image = self.create(**fields)
        self.client.upload_data(image.id, [data] if data else [], size=len(data))
        return self.client.get_image(image.id)

    def clean(self) -> None:
        for image_id in self._made:
            try:
                self.client.update_image(image_id, ImageChanges(fields={"protected": False}))
                self.client.delete_image(image_id)
            except NotFoundError:
                continue


def memory_world() -> World:
    client = MemoryRegion("MemoryOne", project_id="service")

    def make_foreign(visibility: str, hidden: bool) -> str:
        image = Image(id=str(uuid.uuid4()), status="queued", owner="somebody", visibility=visibility, os_hidden=hidden)
        return client.put_image(image).id

    peer = MemoryRegion("MemoryTwo", project_id="service")
    client.peers = {"MemoryTwo": peer}

    def peer_image(data: bytes) -> Image:
        made = peer.create_image(a_new_image(owner="somebody", visibility="private"))
        peer.upload_data(made.id, [data], size=len(data))
        return peer.get_image(made.id)

    return World(client, make_foreign, "MemoryTwo", peer_image)


def glance_world(client: RegionClient, user: Images, admin: Images, peer: tuple[str, Images]) -> World:
    def make_foreign(visibility: str, hidden: bool) -> str:
        maker = admin if visibility == "public" else user
        return str(maker.create(name="foreign", visibility=visibility, os_hidden=hidden)["id"])

    def peer_image(data: bytes) -> Image:
        return parse_image(peer[1].create(name="peer", data=data, visibility="private"))

    return World(client, make_foreign, peer[0], peer_image)
