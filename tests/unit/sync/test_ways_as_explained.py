# SPDX-License-Identifier: Apache-2.0
"""What `store explain` says is what a run then does, whatever fails on the way; afterwards nobody is counted as a
reader, and only verified bytes can be booted."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from glancesync import exceptions as errors
from glancesync.exceptions import GlanceSyncError
from glancesync.sync.readers import OwnReaders
from glancesync.sync.shortcut import StoreShortcut
from glancesync.sync.sources import Sources
from tests.fixtures.memory_cloud import MemoryCloud
from tests.unit.stores.fakes import FakeDriver, stores

DATA = b"the image's bytes"
NAMES = ("a", "b", "filesystem")
FAULTS = some.sampled_from([None, None, errors.StoreCutError("x"), errors.StoreFullError("x"),
                            errors.StoreSourceMissingError("x"), errors.StoreCorruptCopyError("x"),
                            errors.TaskCancelledError("x"), errors.LeaseLostError("x"), KeyError("a bug")])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=some.permutations([*NAMES, "stream"]).flatmap(
    lambda names: some.integers(1, 4).map(lambda count: tuple(names[:count]))),
    faults=some.lists(FAULTS, min_size=3, max_size=3), held=some.booleans())
def test_a_run_does_what_was_explained(tmp_path_factory: pytest.TempPathFactory, order: tuple[str, ...],
                                       faults: list[Any], held: bool) -> None:
    folder: Path = tmp_path_factory.mktemp("ways")
    cloud = MemoryCloud(folder)
    drivers = {name: FakeDriver(DATA, cloud.two.web, error) for name, error in zip(NAMES, faults, strict=True)}
    readers = OwnReaders()
    sources = Sources(clock=cloud.clock, readers=readers, list_held=lambda image_id: cloud.records.list_held(image_id))
    cloud.restart()
    image = cloud.upload(DATA)
    if held:
        cloud.run(image.id, "Three")
    cloud.shortcut = StoreShortcut(
        drivers=drivers, find_stores=lambda region: stores(region.name), clock=cloud.clock, order=lambda: order,
        sources=sources, client=cloud.directory.client,
        regions=lambda: [cloud.directory.cascading(), *cloud.directory.cascaded()])
    cloud.restart()
    told = [(way.driver, way.source_region) for way in cloud.shortcut.explain(image, "One", "Two")
            if way.refusal is None]
    try:
        cloud.run(image.id)
        ended: Exception | None = None
    except (GlanceSyncError, KeyError) as error:
        ended = error
    done = [(each.driver, each.source_region) for each in cloud.service.list_attempts("t") if each.region == "Two"]
    assert sorted(done) == sorted(told[:len(done)])
    fatal = isinstance(ended, KeyError | errors.RunStoppedError)
    if ended is not None and not fatal:
        assert len(done) == len(told)
    assert not readers._now
    replica = cloud.two.find_image(image.id)
    if ended is None:
        assert replica is not None
        assert (replica.owner, replica.digest) == ("demo", image.digest)
    else:
        assert replica is None or (replica.owner, replica.status, replica.os_hidden) == (
            "service-project", "queued", True)
