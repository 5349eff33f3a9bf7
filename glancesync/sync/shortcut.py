# SPDX-License-Identifier: Apache-2.0
"""Fills a replica from the best source by the best way: past this server's own reading and writing where a driver and
the target's Glance allow it, else through the Glances. Called by execute.

    create out of reach (as ever) -> copy to the target's store, hashed there -> POST /locations with the hash
                                     or: its Glance fetches the bytes itself, and hashes them on receipt
    -> its Glance has taken it: active, still out of reach -> compared, handed over (as ever)

Whatever goes wrong on the way is written down, what it left is removed, and the next way is tried in the same run:
another source, another driver, at last the stream, where the region's order of drivers has it.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from glancesync.clock import Clock
from glancesync.exceptions import (
    GlanceSyncError,
    NotFoundError,
    NoWayError,
    RegionError,
    SourceCorruptError,
    SourceReadError,
    SourcesBusyError,
    StoreCopyError,
    StoreCorruptCopyError,
    StoreImportError,
    StoreImportRefusedError,
    StoreSourceMissingError,
    TransferError,
)
from glancesync.model.facts import GlanceFacts
from glancesync.model.image import Image
from glancesync.model.region import Region
from glancesync.model.store import GlanceStores
from glancesync.regions.client import RegionClient
from glancesync.stores.driver import STREAM, CopyDriver
from glancesync.stores.select import DEFAULT_ORDER, Way, next_way
from glancesync.sync.asides import Asides
from glancesync.sync.attempts import AttemptWatch
from glancesync.sync.base import Savings
from glancesync.sync.driving import Driving, is_taken
from glancesync.sync.placed import PlacedFiles
from glancesync.sync.run import Run
from glancesync.sync.sources import Sources
from glancesync.sync.tee import CopyResult
from glancesync.sync.wayfinder import WayFinder

LOG = logging.getLogger(__name__)
_REFUSED_SECONDS = 600.0
_FAILED_SECONDS = 60.0
_WRONG_BYTES = (SourceCorruptError, StoreCorruptCopyError)
#: Whoever raises these, it is the source that did not give the bytes.
_OF_SOURCES = (*_WRONG_BYTES, StoreSourceMissingError, SourceReadError)
_FIRST_BYTES = 512
#: The import method by which a Glance fetches from another one.
IMPORTED = "glance-download"
#: When a pair is looked at again for which there is no way.
_NO_WAY_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What arrived, by which driver and from where."""

    driver: str
    source_region: str
    result: CopyResult


#: Reads the image of that id by that client into the replica, through this server.
Stream = Callable[[RegionClient, str], CopyResult]


def _no_client(region: str) -> RegionClient:
    raise NoWayError(f"there is no client for {region}", region=region)


class StoreShortcut:
    """Holds the drivers, and which of them are set aside for which region. `find_stores`: what the file says; `order`:
    the drivers that may fill a region of which the file does not say that; `gathers`: the tee's; `client`: of another
    region that holds the image; `suspect` is told of a replica (image id, region) that gave wrong bytes; `read_facts`:
    what a region's Glance tells of itself, of which a few minutes' age does not matter; `savings`: what a
    copy may leave out; `why_unseen`: why a region does not show all that it has, None where it does."""

    def __init__(self, *, clock: Clock, drivers: Mapping[str, CopyDriver] | None = None,  # noqa: PLR0913 - by name
                 find_stores: Callable[[Region], GlanceStores | None] = lambda _region: None,
                 regions: Callable[[], Sequence[Region]] = tuple, order: Callable[[], tuple[str, ...]] | None = None,
                 sources: Sources | None = None, gathers: Callable[[str, str], bool] = lambda _region, _id: False,
                 client: Callable[[str], RegionClient] = _no_client,
                 suspect: Callable[[str, str], None] = lambda _image_id, _region: None,
                 savings: Savings | None = None, why_unseen: Callable[[str], str | None] = lambda _region: None,
                 read_facts: Callable[[str], GlanceFacts] = lambda _region: GlanceFacts()) -> None:
        self._drivers = drivers or {}
        self._clock = clock
        self._sources = sources or Sources(clock=clock)
        self._client = client
        self._suspect = suspect
        self._asides = Asides(clock)
        self._driving = Driving(drivers=self._drivers, savings=Savings() if savings is None else savings,
                                asides=self._asides, placed=PlacedFiles(self._asides, clock, why_unseen))
        self._finder = WayFinder(drivers=self._drivers, find_stores=find_stores, regions=regions,
                                 order=order or (lambda: DEFAULT_ORDER), sources=self._sources, gathers=gathers,
                                 read_facts=read_facts, asides=self._asides)

    def explain(self, image: Image, source: str, target: str) -> list[Way]:
        """As WayFinder has it."""
        return self._finder.explain(image, source, target)

    def find_free_bytes(self, region: str) -> int | None:
        """As WayFinder has it."""
        return self._finder.find_free_bytes(region)

    def copy(self, source: Image, run: Run, replica_id: str, *, watch: AttemptWatch, stream: Stream) -> Moved:
        """Fill the queued replica by the first way that leads there. `watch` is told of each attempt.

        Raises NoWayError; SourcesBusyError while all sources are read by others; VerificationError for a replica that
        has to be replaced; what the last way failed with; and what the run's handle and the regions' clients raise."""
        failed: dict[tuple[str, str], GlanceSyncError] = {}
        while True:
            way = self._next(source, run, replica_id, failed)
            started = self._clock.monotonic()
            try:
                result = self._try_counted(way, source, run, replica_id, watch, stream)
            except SourcesBusyError:
                continue  # somebody was faster while the regions were asked
            except (StoreCopyError, TransferError, RegionError, NotFoundError) as error:
                if not self._goes_on(error, way, source, run, replica_id):
                    raise
                failed[way.driver, way.source_region] = error
                self._set_aside(way, error, source, run, failed)
                LOG.warning("image %s does not come to %s by %s from %s, after %.1f s: %s: %s", source.id, run.region,
                            way.driver, way.source_region, self._clock.monotonic() - started, error.code, error)
                continue
            seconds = self._clock.monotonic() - started
            if not result.unverified:
                self._sources.measured(source=way.source_region, target=run.region, driver=way.driver,
                                       size=result.size, seconds=seconds)
            LOG.log(logging.DEBUG if way.driver == STREAM else logging.INFO,
                    "image %s went to %s by %s from %s: %d bytes in %.2f s", source.id, run.region, way.driver,
                    way.source_region, result.size, seconds)
            return Moved(driver=way.driver, source_region=way.source_region, result=result)

    def ended(self, image_id: str) -> None:
        """A copy of the image has ended and what came of it is written down."""
        self._sources.ended(image_id)

    def _next(self, source: Image, run: Run, replica_id: str,
              failed: Mapping[tuple[str, str], GlanceSyncError]) -> Way:
        ways = self.explain(source, run.reader.region_name, run.region)
        asides = self._asides.of(run.region)
        if any(each.driver != STREAM and (each.refusal is None or each.busy or each.driver in asides)
               for each in ways) and is_taken(replica_id, run):
            ways = [each for each in ways if each.driver == STREAM]
        way = next_way(ways, failed)
        if way is None and failed:
            raise _worst(failed, run.reader.region_name)
        if way is None:
            raise NoWayError(f"no way of the bytes of image {source.id} to {run.region} may be taken",
                             region=run.region, retry_after_seconds=_NO_WAY_SECONDS)
        if way.busy:
            raise SourcesBusyError(way.refusal or "")
        return way

    def clear(self, run: Run, replica_id: str) -> bool:
        """As Driving has it."""
        return self._driving.clear(run, replica_id, self._finder.site(run.region))

    def distrust(self, region: str, why: str) -> None:
        """As Driving has it."""
        self._driving.distrust(region, why)

    def _try_counted(self, way: Way, source: Image, run: Run, replica_id: str, watch: AttemptWatch,
                     stream: Stream) -> CopyResult:
        """Raises SourcesBusyError, too. The tee counts its reads itself: several runs may share one."""
        if way.driver == STREAM:
            return self._try(way, source, run, replica_id, watch, stream)
        read = self._sources.begin(source.id, way.source_region)
        if read is None:
            raise SourcesBusyError(f"{way.source_region} gives no further copy of the image now")
        try:
            return self._try(way, source, run, replica_id, watch, stream)
        finally:
            self._sources.end(read)

    def _try(self, way: Way, source: Image, run: Run, replica_id: str, watch: AttemptWatch,
             stream: Stream) -> CopyResult:
        with watch.attempt(run, driver=way.driver, source_region=way.source_region):
            reader = self._ensure_held(way, source, run)
            if way.driver == STREAM:
                return stream(reader, way.source_id)
            run.handle.gathering.arrive()  # nobody waits for this run to read the source with him
            if IMPORTED in self._drivers[way.driver].capabilities.import_methods:
                _ensure_gives(reader, way.source_id)
            return self._driving.drive(way, source, run, replica_id, watch)

    def _ensure_held(self, way: Way, source: Image, run: Run) -> RegionClient:
        """The client of the way's source. Raises SourceReadError for a replica that is not what it was."""
        if way.source_region == run.reader.region_name:
            return run.reader
        client = self._client(way.source_region)
        held = client.find_image(way.source_id, with_members=False)
        if held is None or (held.status, held.size, held.digest) != ("active", source.size, source.digest):
            raise SourceReadError(f"{way.source_region} does not show replica {way.source_id} with the image's size "
                                  "and hash any more", region=way.source_region)
        return client

    def _goes_on(self, error: GlanceSyncError, way: Way, source: Image, run: Run, replica_id: str) -> bool:
        """Whether another way may be tried in this run. What the target did wrong ends it, and what the source did
        wrong is remembered."""
        by_source = getattr(error, "region", None) == way.source_region or isinstance(error, _OF_SOURCES)
        if by_source:
            self._sources.failed(source.id, way.source_region, f"{error.code}: {error}")
        if isinstance(error, _WRONG_BYTES) and way.source_region != run.reader.region_name:
            self._suspect(source.id, way.source_region)
        if isinstance(error, StoreCopyError):
            return True
        return by_source and run.target.get_image(replica_id, with_members=False).status == "queued"

    def _set_aside(self, way: Way, error: GlanceSyncError, source: Image, run: Run,
                   failed: Mapping[tuple[str, str], GlanceSyncError]) -> None:
        """Of a driver that fails for the region. An import that fails may be the source's fault, or the image's: it is
        the region's only for a while, and when it failed from everywhere. What is refused is refused for all."""
        if not isinstance(error, StoreImportError) or error.region is None:
            return
        if isinstance(error, StoreImportRefusedError):
            self._asides.note(error.region, way.driver, str(error), seconds=_REFUSED_SECONDS)
            return
        self._sources.failed(source.id, way.source_region, f"{error.code}: {error}")
        following = next_way(self.explain(source, run.reader.region_name, run.region), failed)
        if following is None or following.driver != way.driver:
            self._asides.note(error.region, way.driver, str(error), seconds=_FAILED_SECONDS)


def _ensure_gives(reader: RegionClient, image_id: str) -> None:
    """A Glance that is given no bytes to fetch may keep its import lock for an hour, so the source is asked for its
    first ones before. Raises what the source's client raises."""
    with reader.open_data(image_id, chunk_bytes=_FIRST_BYTES) as data:
        next(iter(data.chunks), None)


def _worst(failed: Mapping[tuple[str, str], GlanceSyncError], cascading: str) -> GlanceSyncError:
    """What ends the run when every way failed: how the cascading region did, if it did. That a replica's bytes are
    wrong says nothing of the image's."""
    errors = [error for (_driver, region), error in failed.items() if region == cascading] or list(failed.values())
    last = errors[-1]
    wrong = isinstance(last, SourceCorruptError) and last.region != cascading
    if wrong or isinstance(last, NotFoundError):  # the image is there, it was just seen: only its bytes are not
        return SourceReadError(str(last), region=last.region)
    return last
