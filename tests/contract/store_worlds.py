# SPDX-License-Identifier: Apache-2.0
"""The ways of an image's bytes, each with what the contract's tests need around it."""
from __future__ import annotations

import abc
import contextlib
import hashlib
import os
import uuid
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from glancesync.clock import SystemClock
from glancesync.concurrency import Gathering, Place
from glancesync.conf.transfer import TransferSettings
from glancesync.exceptions import ImageNotFoundError, RegionError, TransferError
from glancesync.model.facts import StoreFact
from glancesync.model.image import Digest, Image, NewImage
from glancesync.model.region import Region
from glancesync.model.store import GlanceStores, HttpScheme
from glancesync.regions.client import RegionClient
from glancesync.regions.memory import MemoryRegion
from glancesync.stores.agent.files import stamp_of
from glancesync.stores.driver import CopyDriver, StoreCopy
from glancesync.stores.loading import DriverOptions, load_drivers
from glancesync.sync.actions import BringHome
from glancesync.sync.attempts import AttemptWatch
from glancesync.sync.homecoming import Homecoming
from glancesync.sync.meter import NoMeter
from glancesync.sync.run import Run
from glancesync.sync.shortcut import StoreShortcut
from glancesync.sync.tee import Tee
from glancesync.sync.verify import check_copy
from tests.fixtures.polling import eventually
from tests.fixtures.sshd import running

SERVICE = "service"
#: More than any socket buffer holds.
BIG = 2 ** 30


class Watch:
    """A task's handle. `on_look` runs at each look and may raise."""

    def __init__(self, on_look: Callable[[], None] = lambda: None) -> None:
        self.check = on_look
        self.ensure_lease = lambda: None
        self.gathering = Place(Gathering(1))
        self.seen: list[int] = []
        self.begun_at = 0.0
        self.task: Any = Namespace(id="t", image_id="i")

    @property
    def bytes_done(self) -> int | None:
        return self.seen[-1] if self.seen else None

    def report(self, step: str | None = None, bytes_done: int | None = None, bytes_total: int | None = None) -> None:
        if bytes_done is not None:
            self.seen.append(bytes_done)


def options() -> DriverOptions:
    return DriverOptions(clock=SystemClock(), copy_timeout_seconds=lambda: 60.0, shell_tries=lambda: 1)


def digest_of(data: bytes) -> Digest:
    return Digest(algorithm="sha512", value=hashlib.sha512(data).hexdigest())


class StoreWorld(abc.ABC):
    """One way, from a source to a target. `put` gives the source an image and the target a place for it."""

    @abc.abstractmethod
    def put(self, data: bytes, *, given: bytes | None = None) -> StoreCopy:
        """The copy to do of an image of `data`. `given`: what the source gives instead."""

    @abc.abstractmethod
    def put_big(self) -> StoreCopy:
        """One that takes long enough for somebody to change his mind."""

    @abc.abstractmethod
    def copy(self, copy: StoreCopy, progress: Watch) -> None:
        """Until the bytes are where a boot of the replica would read them, and verified."""

    @abc.abstractmethod
    def bytes_of(self, copy: StoreCopy) -> bytes | None:
        """What users of the region boot under the replica's id, None for nothing."""

    @abc.abstractmethod
    def remains(self, copy: StoreCopy) -> list[str]:
        """What lies around of it, beside `bytes_of`."""

    @abc.abstractmethod
    def litter(self, copy: StoreCopy) -> None:
        """Leave behind what a try does that nobody could clean up after."""

    @abc.abstractmethod
    def close(self) -> None:
        """As the server's end does it."""

    @abc.abstractmethod
    def still_open(self) -> list[object]:
        """Connections and processes."""


class FilesystemWorld(StoreWorld):
    """Two hosts with an sshd each."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._one = stack.enter_context(running(folder / "one"))
        self._two = stack.enter_context(running(folder / "two"))
        self._driver: CopyDriver = load_drivers(options())["filesystem"]
        stack.callback(self._driver.close)

    def put(self, data: bytes, *, given: bytes | None = None) -> StoreCopy:
        copy = self._job(len(data), digest_of(data))
        self._one.put(copy.image_id, data if given is None else given)
        return copy

    def put_big(self) -> StoreCopy:
        copy = self._job(BIG, digest_of(b""))
        with self._one.put(copy.image_id, b"").open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, BIG)
        return copy

    def copy(self, copy: StoreCopy, progress: Watch) -> None:
        assert self._driver.copy(copy, progress) == f"file://{self._two.images}/{copy.replica_id}"

    def bytes_of(self, copy: StoreCopy) -> bytes | None:
        path = self._two.images / copy.replica_id
        return path.read_bytes() if path.is_file() else None

    def remains(self, copy: StoreCopy) -> list[str]:
        return [name for name in self._two.names() if name != copy.replica_id]

    def litter(self, copy: StoreCopy) -> None:
        whole = self._two.put(copy.replica_id, b"half of an image")
        os.utime(whole, ns=(0, stamp_of(copy.replica_id, copy.target_region)))  # of a server that died
        self._two.put(f"{copy.replica_id}.part", b"more than the image, and of another" * 1000)

    def close(self) -> None:
        self._driver.close()

    def still_open(self) -> list[object]:
        return [*self._one.serving(), *self._two.serving()]

    def _job(self, size: int, digest: Digest) -> StoreCopy:
        return StoreCopy(image_id=str(uuid.uuid4()), replica_id=str(uuid.uuid4()), size=size, digest=digest,
                         source=self._one.scheme, target=self._two.scheme)


class MemoryWorld(StoreWorld):
    """Two Glances in memory; a subclass says how the bytes go."""

    def __init__(self) -> None:
        self.one, self.two = (MemoryRegion(name, project_id=SERVICE) for name in ("One", "Two"))
        self.two.peers = {"One": self.one}

    def put(self, data: bytes, *, given: bytes | None = None) -> StoreCopy:
        source = self.one.create_image(_new())
        self.one.upload_data(source.id, [data], size=len(data))
        if given is not None:
            self.one.set_data(source.id, given)
        replica = self.two.create_image(_new())
        return StoreCopy(image_id=source.id, replica_id=replica.id, size=len(data), digest=digest_of(data),
                         source_region="One", glance=self.two)

    def put_big(self) -> StoreCopy:
        return self.put(b"x" * 1_000_000)

    def bytes_of(self, copy: StoreCopy) -> bytes | None:
        image = self.two.find_image(copy.replica_id)
        return self.two.data(copy.replica_id) if image is not None and image.has_bytes else None

    def remains(self, copy: StoreCopy) -> list[str]:
        image = self.two.find_image(copy.replica_id)
        lying = image is not None and not image.has_bytes and (image.status != "queued" or image.locked)
        return [image.status] if lying and image is not None else []

    def close(self) -> None:
        """Holds nothing."""

    def still_open(self) -> list[object]:
        return []


class StreamWorld(MemoryWorld):
    """Through the Glances and this process."""

    def copy(self, copy: StoreCopy, progress: Watch) -> None:
        tee = Tee(TransferSettings(chunk_bytes=65536, buffer_bytes=131072, tee_gather_seconds=0))
        source = replace(self.one.get_image(copy.image_id), digest=copy.digest, size=copy.size)
        result = tee.copy(source, self.one, self.two, replica_id=copy.replica_id, handle=progress,
                          algorithm="sha512")
        assert check_copy(result, self.two.get_image(copy.replica_id), "Two") == copy.digest

    def litter(self, copy: StoreCopy) -> None:
        def broken() -> Iterator[bytes]:
            yield b"half of"
            raise TransferError("the connection broke")

        with contextlib.suppress(TransferError):
            self.two.upload_data(copy.replica_id, broken(), size=None)


def _no_stream(reader: RegionClient, source_id: str) -> NoReturn:
    raise AssertionError(f"{source_id} of {reader.region_name} goes through this process")


class ImportWorld(MemoryWorld):
    """The target's Glance fetches the bytes; what the driver leaves to be compared is compared as the server does."""

    name = "glance-download"
    web = HttpScheme(netloc="web", path="/images/")

    def __init__(self) -> None:
        super().__init__()
        self.connect(self.one, self.two)

    def connect(self, one: RegionClient, two: RegionClient) -> None:
        self.ends = one, two
        self._driver: CopyDriver = load_drivers(options())[self.name]
        stores = GlanceStores(name="a", region=one.region_name, service_ip=None, schemes=(self.web,))
        region = Region(name=one.region_name, endpoint="http://one")
        self._shortcut = StoreShortcut(
            drivers={self._driver.name: self._driver}, find_stores=lambda _region: stores, regions=lambda: [region],
            clock=SystemClock(), order=lambda: (self._driver.name,))

    def put_big(self) -> StoreCopy:
        self.two.slow = True
        return super().put_big()

    def copy(self, copy: StoreCopy, progress: Watch) -> None:
        one, two = self.ends
        source = Image(id=copy.image_id, status="active", size=copy.size, digest=copy.digest)
        run = Run(image_id=copy.image_id, region=two.region_name, source=source, reader=one, target=two,
                  handle=progress, seen_at=0)
        watch = AttemptWatch(attempts=Forgetful(), clock=SystemClock(), meter=NoMeter())  # type: ignore[arg-type]
        moved = self._shortcut.copy(source, run, copy.replica_id, watch=watch, stream=_no_stream)
        assert (moved.driver, moved.source_region) == (self.name, one.region_name)

    def bytes_of(self, copy: StoreCopy) -> bytes | None:
        """An image of other bytes is active for a moment, until it is replaced; nobody can reach it."""
        two = self.ends[1]
        image = two.find_image(copy.replica_id)
        if image is None or not image.has_bytes:
            return None
        assert (image.visibility, image.os_hidden) == ("private", True)
        if image.digest != copy.digest:
            return None
        with two.open_data(copy.replica_id) as data:
            return b"".join(data.chunks)

    def remains(self, copy: StoreCopy) -> list[str]:
        self.two.settle_imports()
        return super().remains(copy)

    def litter(self, copy: StoreCopy) -> None:
        self.ends[1].import_from_region(copy.replica_id, self.ends[0].region_name, str(uuid.uuid4()),
                                        interface="public")

    def close(self) -> None:
        self._driver.close()


class HttpWorld(ImportWorld):
    """The target serves the source's file from a web server; then the bytes are brought home and compared."""

    name = "http"

    def __init__(self) -> None:
        super().__init__()
        self.two.facts = replace(self.two.facts, stores=(
            StoreFact(id="local", kind="file", is_default=True), StoreFact(id="web", kind="http")))

    def put(self, data: bytes, *, given: bytes | None = None) -> StoreCopy:
        copy = super().put(data, given=given)
        self.two.web[f"http://web/images/{copy.image_id}"] = data if given is None else given
        return copy

    def copy(self, copy: StoreCopy, progress: Watch) -> None:
        super().copy(copy, progress)
        bring_home(copy, progress, *self.ends)

    def bytes_of(self, copy: StoreCopy) -> bytes | None:
        found = super().bytes_of(copy)
        assert found is None or self.two.get_image(copy.replica_id).stores in (("local",), ("web",))
        return found

    def remains(self, copy: StoreCopy) -> list[str]:
        self.two.settle()
        return super().remains(copy)

    def litter(self, copy: StoreCopy) -> None:
        self.two.add_location(copy.replica_id, "http://web/images/nothing", None)


class RealImportWorld(ImportWorld):
    """Two real Glances. `rot(image id, bytes)` changes what lies in the source's store; `lying()` names what lies in
    the target's."""

    def __init__(self, one: RegionClient, two: RegionClient, rot: Callable[[str, bytes], None],
                 lying: Callable[[], list[str]]) -> None:
        super().__init__()
        self.connect(one, two)
        self._rot = rot
        self._lying = lying
        self._made: list[str] = []

    def put(self, data: bytes, *, given: bytes | None = None) -> StoreCopy:
        one, two = self.ends
        source, replica = one.create_image(replace(_new(), owner=None)), two.create_image(replace(_new(), owner=None))
        self._made += [source.id, replica.id]
        one.upload_data(source.id, [data], size=len(data))
        if given is not None:
            self._rot(source.id, given)
        return StoreCopy(image_id=source.id, replica_id=replica.id, size=len(data), digest=digest_of(data),
                         source_region=one.region_name, glance=two)

    def put_big(self) -> StoreCopy:
        return self.put(b"x" * 64 * 2 ** 20)

    def litter(self, copy: StoreCopy) -> None:
        super().litter(copy)
        eventually(lambda: not self.ends[1].get_image(copy.replica_id).locked, 20, what="that import failed")

    def remains(self, copy: StoreCopy) -> list[str]:
        image = self.ends[1].find_image(copy.replica_id)
        busy = image is not None and (image.locked or image.status not in ("queued", "active"))
        return [*self._lying(), *([image.status] if busy and image is not None else [])]

    def clean(self) -> None:
        for client in self.ends:
            for image_id in self._made:
                with contextlib.suppress(ImageNotFoundError):
                    client.delete_image(image_id)


class RealHttpWorld(RealImportWorld):
    """The same with the driver `http`. `netloc`: of a web server over the source's files; the target's Glance
    takes http locations."""

    name = "http"

    def __init__(self, one: RegionClient, two: RegionClient, rot: Callable[[str, bytes], None],
                 lying: Callable[[], list[str]], netloc: str) -> None:
        self.web = HttpScheme(netloc=netloc, path="/")
        super().__init__(one, two, rot, lying)

    def copy(self, copy: StoreCopy, progress: Watch) -> None:
        super().copy(copy, progress)
        bring_home(copy, progress, *self.ends)

    def bytes_of(self, copy: StoreCopy) -> bytes | None:
        found = super().bytes_of(copy)
        assert found is None or self.ends[1].get_image(copy.replica_id).stores in (("local",), ("web",))
        return found

    def remains(self, copy: StoreCopy) -> list[str]:
        """Once its Glance has come to an end with what it reads from the web server."""
        def free() -> bool:
            image = self.ends[1].find_image(copy.replica_id)
            return image is None or not image.locked

        eventually(free, 30, what="no task of its Glance works on it")
        return super().remains(copy)

    def litter(self, copy: StoreCopy) -> None:
        with contextlib.suppress(RegionError):
            self.ends[1].add_location(copy.replica_id, f"http://{self.web.netloc}/{uuid.uuid4()}", None)
        eventually(lambda: not self.ends[1].get_image(copy.replica_id).locked, 20, what="that location is refused")


def bring_home(copy: StoreCopy, progress: Watch, one: RegionClient, two: RegionClient) -> None:
    """As execute does it, once a replica is usable from the source's web server."""
    source = Image(id=copy.image_id, status="active", size=copy.size, digest=copy.digest)
    run = Run(image_id=copy.image_id, region=two.region_name, source=source, reader=one, target=two, handle=progress,
              seen_at=0)
    Homecoming(update=lambda *_names, **_columns: None, clock=SystemClock()).bring(
        BringHome(replica_id=copy.replica_id, home="local", away=("web",)), run, source)


class Forgetful:
    """Attempts that nobody reads."""

    def add(self, _attempt: object) -> None:
        """Gone."""


def _new() -> NewImage:
    return NewImage(id=str(uuid.uuid4()), name="contract", owner=SERVICE, visibility="private", protected=False,
                    os_hidden=True, disk_format="raw", container_format="bare", min_disk=0, min_ram=0,
                    tags=frozenset(), properties={})
