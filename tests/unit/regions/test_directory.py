# SPDX-License-Identifier: Apache-2.0
"""Which regions are in force, and from when."""
from __future__ import annotations

from collections.abc import Sequence

import pytest

from glancesync.clock import ManualClock
from glancesync.conf.sync import SyncSettings
from glancesync.exceptions import NotReadyError, RegionUnavailableError
from glancesync.model.region import Region
from glancesync.regions.directory import RegionDirectory
from glancesync.regions.endpoints import CatalogEntry

SETTINGS = SyncSettings(sync_strategy="ALL", cascading_region="One", cascading_endpoint_url=None,
                        transient_property=None, catalog_refresh_seconds=60, replica_saving_timeout_seconds=10,
                        source_poll_seconds=1, max_restores=5)


class Catalog:
    """Keystone's, as a dict of region to URL; None does not answer."""

    def __init__(self) -> None:
        self.urls: dict[str, str] | None = {"One": "http://one", "Two": "http://two"}

    def list_endpoints(self) -> list[CatalogEntry]:
        if self.urls is None:
            raise RegionUnavailableError("Keystone gave no answer")
        return [CatalogEntry(region=name, interface="public", url=url) for name, url in self.urls.items()]


@pytest.fixture
def catalog() -> Catalog:
    return Catalog()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def directory(catalog: Catalog, clock: ManualClock) -> RegionDirectory:
    made = RegionDirectory(catalog=catalog, clients=None, settings=SETTINGS,  # type: ignore[arg-type]
                           interface="public", clock=clock)
    made.load()
    return made


def names(directory: RegionDirectory) -> list[str]:
    return [region.name for region in directory.cascaded()]


def test_before_the_first_look_there_are_none(catalog: Catalog, clock: ManualClock) -> None:
    unread = RegionDirectory(catalog=catalog, clients=None, settings=SETTINGS,  # type: ignore[arg-type]
                             interface="public", clock=clock)
    with pytest.raises(NotReadyError):
        unread.cascading()


def test_the_catalog_is_read_again_after_its_time(catalog: Catalog, clock: ManualClock,
                                                  directory: RegionDirectory) -> None:
    catalog.urls = {"One": "http://one", "Three": "http://two"}
    clock.advance(59)
    assert names(directory) == ["Two"]
    clock.advance(2)
    assert names(directory) == ["Three"]


def test_a_keystone_that_does_not_answer_takes_nothing_away(catalog: Catalog, clock: ManualClock,
                                                            directory: RegionDirectory) -> None:
    catalog.urls = None
    clock.advance(61)
    assert names(directory) == ["Two"]


def test_other_regions_come_in_force_after_they_were_told(catalog: Catalog, clock: ManualClock,
                                                          directory: RegionDirectory) -> None:
    told: list[tuple[list[str], list[str]]] = []

    def tell(regions: Sequence[Region]) -> None:
        told.append((sorted(region.name for region in regions), names(directory)))

    directory.before_change(tell)
    clock.advance(61)
    assert (names(directory), told) == (["Two"], []), "nothing changed"
    catalog.urls = {"One": "http://one", "Three": "http://two"}
    clock.advance(61)
    assert names(directory) == ["Three"]
    assert told == [(["One", "Three"], ["Two"])]


def test_what_could_not_be_told_is_not_in_force(catalog: Catalog, clock: ManualClock,
                                                directory: RegionDirectory) -> None:
    failures = [NotReadyError("the database is locked")]

    def tell(_regions: Sequence[Region]) -> None:
        if failures:
            raise failures.pop()

    directory.before_change(tell)
    catalog.urls = {"One": "http://one", "Two": "http://moved"}
    clock.advance(61)
    assert [region.endpoint for region in directory.cascaded()] == ["http://two"]
    clock.advance(61)
    assert [region.endpoint for region in directory.cascaded()] == ["http://moved"]
