# SPDX-License-Identifier: Apache-2.0
"""The whole core with real clients, each before a faulty proxy, each of those before a Glance in memory."""
from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.session import Session

from glancesync.model.replica import ReplicaRecord
from glancesync.model.task import Task, TaskFilter
from glancesync.regions.glance import GlanceRegion
from glancesync.regions.memory import MemoryRegion
from tests.fixtures.faulty_proxy import FaultyProxy, proxying
from tests.fixtures.glance_twin import glance_twin
from tests.fixtures.memory_cloud import SERVICE, MemoryCloud
from tests.fixtures.queues import pass_time

#: Seconds; what hangs is given up after them.
PATIENCE = 0.6
DATA = b"the bytes of an image, sixty-four of them, all in their place.!!"
_LONG = 100_000.0
_LOOKS = 20


class Login(BaseAuthPlugin):
    """Always has a token, and another one when one was refused."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = 1

    def get_token(self, session: Session, **_kwargs: Any) -> str:
        return f"token-{self.tokens}"

    def invalidate(self) -> bool:
        self.tokens += 1
        return True


class FaultyCloud(MemoryCloud):
    """`proxies` by region name; One is the cascading region."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__(folder)
        self.proxies: dict[str, FaultyProxy] = {}
        session = Session(auth=Login())
        session.session.trust_env = False
        for name, region in (("One", self.one), ("Two", self.two), ("Three", self.three)):
            proxy = self.proxies[name] = stack.enter_context(proxying(stack.enter_context(glance_twin(region)).url))
            self.directory.regions[name] = proxy.url, GlanceRegion(  # type: ignore[assignment]
                region_name=name, endpoint=proxy.url, session=session, connect_timeout_seconds=PATIENCE,
                read_timeout_seconds=PATIENCE, idle_timeout_seconds=PATIENCE, call_timeout_seconds=4 * PATIENCE)

    def submit(self, image_id: str) -> None:
        self.service.submit(image_ids=[image_id], regions=None, request_id=None)

    def settle(self, image_id: str) -> None:
        """Nothing is faulty any more, time passes, an operator asks once."""
        self.clear_faults()
        pass_time(self.database, _LONG)
        self.submit(image_id)
        self.work()
        for _ in range(_LOOKS):
            if all(self.task(image_id, region).state != "waiting" for region in ("Two", "Three")):
                return
            pass_time(self.database, _LONG)
            self.clock.advance(1)
            self.work()

    def clear_faults(self) -> None:
        for proxy in self.proxies.values():
            proxy.clear()

    def task(self, image_id: str, region: str = "Two") -> Task:
        [found] = [task for task in self.queue.list_tasks(TaskFilter(image_id=image_id), 10) if task.region == region]
        return found

    def replicas(self, region: MemoryRegion, image_id: str) -> list[str]:
        """Ids of everything in the region that was made for the image; names carry its id."""
        return [image.id for hidden in (False, True) for image in region.list_images(hidden=hidden)
                if image.name and image_id in image.name]

    def assert_nothing_bad_is_visible(self, image_id: str) -> None:
        """Whatever is not ours alone has the image's bytes."""
        for region in (self.two, self.three):
            for replica_id in self.replicas(region, image_id):
                image = region.get_image(replica_id)
                ours_alone = image.owner == SERVICE and image.visibility == "private" and image.os_hidden
                assert ours_alone or region.data(replica_id) == DATA, f"{region.region_name} shows wrong bytes"

    def assert_one_good_replica(self, image_id: str, region: str) -> ReplicaRecord:
        glance = {"Two": self.two, "Three": self.three}[region]
        record = self.record(image_id, region)
        assert (record.state, record.reason_code) == ("in_sync", "in_sync"), record.reason
        assert self.replicas(glance, image_id) == [record.replica_id], "a duplicate or an orphan"
        assert glance.data(str(record.replica_id)) == DATA
        image, replica = self.one.get_image(image_id), glance.get_image(str(record.replica_id))
        for name in ("name", "owner", "visibility", "os_hidden", "protected", "status", "members", "properties"):
            assert getattr(replica, name) == getattr(image, name), name
        return record

    def new_image(self, **fields: Any) -> str:
        image_id = str(uuid.uuid4())
        self.upload(DATA, id=image_id, name=f"image {image_id}", **fields)
        return image_id


@contextmanager
def faulty_cloud(folder: Path) -> Iterator[FaultyCloud]:
    with ExitStack() as stack:
        cloud = FaultyCloud(folder, stack)
        yield cloud
        cloud.database.close()
