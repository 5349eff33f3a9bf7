# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from keystoneauth1.session import Session

from glancesync.model.region import Region
from glancesync.regions.factory import RegionClients


def test_a_client_lives_as_long_as_its_endpoint() -> None:
    clients = RegionClients(session=Session(), connect_timeout_seconds=1, read_timeout_seconds=2,
                            idle_timeout_seconds=3)
    one, other = Region(name="One", endpoint="http://h:1"), Region(name="Two", endpoint="http://h:1")

    first = clients.get(one)

    assert first.region_name == "One"
    assert clients.get(Region(name="One", endpoint="http://h:1", cascading=True)) is first
    assert clients.get(other) is not first
    moved = clients.get(Region(name="One", endpoint="http://h:2"))
    assert moved is not first
    assert clients.get(Region(name="One", endpoint="http://h:2")) is moved
