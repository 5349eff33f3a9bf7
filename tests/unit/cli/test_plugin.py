# SPDX-License-Identifier: Apache-2.0
"""Where the commands find the sync server, and what is said where the catalog does not name it."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from keystoneauth1.exceptions import EmptyCatalog, EndpointNotFound
from osc_lib import exceptions

from glancesync.cli.plugin import make_client


def manager(found: str | Exception | None, *, named: str = "") -> Any:
    """A client manager whose catalog answers so, and whose user named that URL."""
    def look_up(service_type: str, *, region_name: str, interface: str) -> str | None:
        assert (service_type, region_name, interface) == ("image-sync", "RegionTwo", "public")
        if isinstance(found, Exception):
            raise found
        return found

    return SimpleNamespace(session=None, region_name="RegionTwo", interface="public",
                           get_configuration=lambda: {"image_sync_endpoint": named},
                           get_endpoint_for_service_type=look_up)


@pytest.mark.parametrize("found", [None, EndpointNotFound("not found"), EmptyCatalog("empty")])
def test_a_catalog_without_us_is_told_with_the_next_step(found: Exception | None) -> None:
    with pytest.raises(exceptions.EndpointNotFound, match="no image-sync service in region RegionTwo"):
        make_client(manager(found))
    with pytest.raises(exceptions.EndpointNotFound, match="--os-region-name"):
        make_client(manager(found))


def test_the_catalogs_address_and_the_one_that_is_named_instead() -> None:
    assert make_client(manager("http://sync/v1/"))._base_url == "http://sync"
    assert make_client(manager(EndpointNotFound("not found"), named="http://other"))._base_url == "http://other"
