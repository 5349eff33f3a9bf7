# SPDX-License-Identifier: Apache-2.0
"""Regions whose folders are one and the same under two names (a mount, a link, another name of the host): no file that
this driver did not put there for this region is ever removed or replaced."""
from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from glancesync.exceptions import GlanceSyncError, StoreOccupiedError
from glancesync.model.store import FilesystemScheme
from glancesync.stores.driver import StoreCopy
from glancesync.stores.drivers.filesystem import FilesystemDriver
from tests.fixtures.sshd import Sshd, two_hosts
from tests.fixtures.store_copies import DATA, ID, Watch, driver, job, options

__all__ = ["driver", "options", "two_hosts"]


def shared(one: Sshd, two: Sshd) -> StoreCopy:
    """As it is for an image whose replica has its id."""
    shutil.rmtree(two.images)
    two.images.symlink_to(one.images)
    one.put(ID, DATA)
    return job(one.scheme, two.scheme, replica_id=ID, target_region="Two")


def identity(host: Sshd) -> tuple[int, int, int]:
    found = (host.images / ID).stat()
    return found.st_ino, found.st_ctime_ns, found.st_size


@pytest.mark.parametrize("route", ["through the server", "host to host", "within one host"])
def test_a_copy_does_not_touch_the_sources_file(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver,
                                                route: str) -> None:
    one, two = two_hosts
    copy = shared(one, two)
    targets = {"through the server": two.scheme, "host to host": two.reaching(one),
               "within one host": replace(one.scheme, datadir=str(two.images))}
    before = identity(one)
    with pytest.raises(StoreOccupiedError):
        driver.copy(replace(copy, target=targets[route]), Watch())
    assert (one.images / ID).read_bytes() == DATA
    assert identity(one) == before
    assert one.names() == [ID]


def test_clearing_away_does_not_touch_it_either(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver) -> None:
    copy = shared(*two_hosts)
    with pytest.raises(StoreOccupiedError):
        driver.discard(copy)
    assert (two_hosts[0].images / ID).read_bytes() == DATA


def test_what_another_region_was_given_there_stays(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver,
                                                   tmp_path: Path) -> None:
    one, two = two_hosts
    other: FilesystemScheme = replace(two.scheme, datadir=str(tmp_path / "link"))
    (tmp_path / "link").symlink_to(two.images)
    one.put(ID, DATA)
    driver.copy(job(one.scheme, two.scheme, replica_id=ID, target_region="Two"), Watch())
    found = identity(two)
    for act in (lambda copy: driver.copy(copy, Watch()), driver.discard):
        with pytest.raises(StoreOccupiedError):
            act(job(one.scheme, other, replica_id=ID, target_region="Three"))
    assert identity(two) == found
    driver.discard(job(one.scheme, two.scheme, replica_id=ID, target_region="Two"))
    assert two.names() == []


def test_a_file_that_appears_in_the_middle_is_not_replaced(two_hosts: tuple[Sshd, Sshd],
                                                           driver: FilesystemDriver) -> None:
    """A Glance that is given the same image by another server writes under the final name from its first byte on."""
    one, two = two_hosts
    one.put(ID, DATA * 20)

    def look() -> None:
        if (two.images / f"{ID}.part").exists() and not (two.images / ID).exists():
            two.put(ID, b"of another")

    with pytest.raises(GlanceSyncError):
        driver.copy(job(one.scheme, two.scheme, DATA * 20, replica_id=ID, target_region="Two"), Watch(look))
    assert two.names() == [ID]
    assert (two.images / ID).read_bytes() == b"of another"
    assert os.stat(two.images / ID).st_nlink == 1
