# SPDX-License-Identifier: Apache-2.0
"""What a Glance leaves that was killed between the two transactions of a DELETE: a record that it still shows, with
status deleted, without bytes, and that no request can remove."""
from __future__ import annotations

import json

import pytest
from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token

from glancesync.exceptions import IdBurnedError, ImageNotFoundError
from glancesync.regions.glance import GlanceRegion
from tests.contract.region_worlds import a_new_image
from tests.contract.scripted_server import Exchange, ScriptedServer, serving

GONE, THERE = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


def record(image_id: str, status: str) -> dict[str, object]:
    return {"id": image_id, "name": None, "status": status, "visibility": "private", "protected": False,
            "os_hidden": False, "owner": "o", "size": None, "virtual_size": None, "min_disk": 0, "min_ram": 0,
            "tags": [], "checksum": None, "os_hash_algo": None, "os_hash_value": None, "disk_format": "raw",
            "container_format": "bare", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}


def glance_with(status: str) -> object:
    def script(exchange: Exchange) -> None:
        if exchange.request_line.startswith("POST"):
            exchange.answer(409, b'{"message": "Image ID already exists!"}')
        elif exchange.path.startswith("/v2/images/"):
            exchange.answer(200, json.dumps(record(GONE, status)).encode())
        else:
            exchange.answer(200, json.dumps({"images": [record(GONE, status), record(THERE, "queued")]}).encode())
    return script


def region(server: ScriptedServer) -> GlanceRegion:
    session = Session(auth=Token(endpoint=server.url, token="t"))
    session.session.trust_env = False
    return GlanceRegion(region_name="Oddville", endpoint=server.url, session=session, connect_timeout_seconds=2,
                        read_timeout_seconds=2, idle_timeout_seconds=2)


@pytest.mark.parametrize("status", ["deleted", "pending_delete"])
class TestHalfDeleted:
    def test_is_not_there(self, status: str) -> None:
        with serving(glance_with(status)) as server:
            assert region(server).find_image(GONE) is None
            with pytest.raises(ImageNotFoundError, match=status):
                region(server).get_image(GONE)

    def test_is_not_listed(self, status: str) -> None:
        with serving(glance_with(status)) as server:
            assert [image.id for image in region(server).list_images(hidden=False)] == [THERE]

    def test_its_id_is_used_up(self, status: str) -> None:
        with serving(glance_with(status)) as server, pytest.raises(IdBurnedError):
            region(server).create_image(a_new_image(id=GONE))
