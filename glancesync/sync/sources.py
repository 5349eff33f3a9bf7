# SPDX-License-Identifier: Apache-2.0
"""Which regions can give an image's bytes: the cascading one, and every region whose replica was verified. Called by
shortcut.

    replicas with the image's own hash and size, verified -> minus the target, paused and frozen regions
    -> each with its readers now, its speed as measured, and how it failed a moment ago -> stores.select

Reads are counted over all servers. What is learnt of regions is this process's own and lasts as long: a server that
starts measures again.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glancesync.clock import Clock
from glancesync.exceptions import NotReadyError
from glancesync.model.image import Digest, Image
from glancesync.stores.select import Holder, Site
from glancesync.sync.readers import OwnReaders, Read, Readers

LOG = logging.getLogger(__name__)
_DOUBT_SECONDS = 120.0
#: Of a smaller copy its beginning and end tell more than the link.
_MEASURED_BYTES = 1024 * 1024
#: What the newest copy weighs in the mean of a link.
_NEWEST = 0.4
_NOT_LIMITED = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Held:
    """A verified replica: its region, its id there, and what was verified."""

    region: str
    replica_id: str
    size: int | None
    digest: Digest


def _nobody(_image_id: str) -> Sequence[Held]:
    return ()


def _never(_region: str) -> str | None:
    return None


def _nothing(_image_id: str) -> None:
    """Nobody waits."""


class Sources:
    """`list_held`: the verified replicas of an image; `why_not`: why a region is to be spared now; `most`: reads of one
    image that one region may serve at once; `woken`: whoever waits for a source of an image may look again, on
    whichever server."""

    def __init__(self, *, clock: Clock, readers: Readers | None = None,
                 list_held: Callable[[str], Sequence[Held]] = _nobody, why_not: Callable[[str], str | None] = _never,
                 most: Callable[[], int] = lambda: _NOT_LIMITED,
                 woken: Callable[[str], None] = _nothing) -> None:
        self._readers = readers or OwnReaders()
        self._clock = clock
        self._list_held = list_held
        self._why_not = why_not
        self._most = most
        self._woken = woken
        self._doubts: dict[tuple[str, str], tuple[float, str]] = {}
        self._speeds: dict[tuple[str, str, str], float] = {}

    def list_holders(self, image: Image, cascading: str, target: str, *, site: Callable[[str], Site],
                     joins: Callable[[str, str], bool]) -> list[Holder]:
        """The cascading region first. `site` describes a region; `joins(region, image id there)`: whether a read
        through the Glances is about to begin."""
        found: list[tuple[str, str, str | None]] = [(cascading, image.id, None)]
        if image.digest is not None and not image.hash_is_claim:
            found += [(each.region, each.replica_id, self._why_not(each.region))
                      for each in self._list_held(image.id) if each.region not in (cascading, target)
                      and (each.size, each.digest) == (image.size, image.digest)]
        reads = self._readers.counts(image.id)
        return [self._holder(image, target, site(region), image_id, refusal=refusal, joins=joins(region, image_id),
                             readers=reads.get(region, 0)) for region, image_id, refusal in found]

    def begin(self, image_id: str, region: str) -> Read | None:
        """Count one more read of the image there, if there is room; `end` gives it back. Raises NotReadyError."""
        return self._readers.begin(image_id, region, self._most())

    def end(self, read: Read) -> None:
        """It is over."""
        self._readers.end(read)

    def failed(self, image_id: str, region: str, why: str) -> None:
        """The region did not give the image's bytes: for a while the others come first."""
        now = self._clock.monotonic()
        self._doubts = {key: doubt for key, doubt in self._doubts.items() if doubt[0] > now}
        self._doubts[image_id, region] = (now + _DOUBT_SECONDS, why)

    def measured(self, *, source: str, target: str, driver: str, size: int, seconds: float) -> None:
        """A copy of so many bytes took so long."""
        if size < _MEASURED_BYTES or seconds <= 0:
            return
        link, speed = (source, target, driver), size / seconds
        before = self._speeds.get(link, speed)
        self._speeds[link] = _NEWEST * speed + (1 - _NEWEST) * before

    def ended(self, image_id: str) -> None:
        """A copy of the image has ended, well or not: who waits may look again."""
        try:
            self._woken(image_id)
        except NotReadyError as error:
            LOG.warning("the copies of image %s that wait for a source look again when their time comes: %s", image_id,
                        error)

    def _holder(self, image: Image, target: str, site: Site, image_id: str, *,  # noqa: PLR0913 - by name
                refusal: str | None, joins: bool, readers: int) -> Holder:
        until, doubt = self._doubts.get((image.id, site.region), (0.0, ""))
        busy = f"{readers} copies of the image are read from {site.region} now; it waits for one of them to end"
        return Holder(site=site, image_id=image_id, refusal=refusal, readers=readers, joins=joins,
                      busy=busy if readers >= self._most() else None,
                      doubt=doubt if self._clock.monotonic() < until else None,
                      speeds={driver: speed for (source, to, driver), speed in self._speeds.items()
                              if (source, to) == (site.region, target)})
