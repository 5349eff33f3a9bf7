# SPDX-License-Identifier: Apache-2.0
"""The contract of what moves bytes from one store to another, past this server's own reading and writing. Drivers are
entry points of the namespace `glancesync.stores`; sync.shortcut calls them. tests/contract/test_store_drivers.py states
it and runs on every driver."""
from __future__ import annotations

import abc
import enum
from dataclasses import dataclass
from typing import Protocol

from glancesync.exceptions import StoreCopyError
from glancesync.model.image import Digest, Image
from glancesync.model.imports import ImportTask
from glancesync.model.store import Scheme

#: Through the Glances and this server, as sync.tee does it: no driver of this contract, and always the last way.
STREAM = "stream"


class Carrier(enum.StrEnum):
    """Which machine the bytes pass through on their way."""

    SERVER = "server"   # this server's
    TARGET = "target"   # the target's Glance fetches them; this server gives the order


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a driver needs of both sides, and what it does.

    `source_scheme`, `target_scheme`: what glance_store.yaml has to say of the two regions, None for nothing.
    `algorithms`: the hashes with which it verifies the bytes before the image is active; empty: it does not, the
    target's Glance computes its own while it takes them and that is compared afterwards. `registers`: the target's
    Glance has to register a location of this scheme, None for none. `import_methods`, `target_stores`: what the
    target's Glance has to have enabled; `role`: what our user has to have there beside admin. `usable_unverified`: the
    image is handed over at once, and its bytes are brought home and verified afterwards.
    """

    source_scheme: str | None = None
    target_scheme: str | None = None
    algorithms: frozenset[str] = frozenset()
    registers: str | None = None
    import_methods: frozenset[str] = frozenset()
    target_stores: frozenset[str] = frozenset()
    role: str | None = None
    carrier: Carrier = Carrier.SERVER
    usable_unverified: bool = False

    @property
    def verifies_first(self) -> bool:
        """Whether no byte is part of an active image before it was verified."""
        return bool(self.algorithms)


class TargetGlance(Protocol):
    """What a driver may ask of the target's Glance; a RegionClient is one."""

    region_name: str

    def get_image(self, image_id: str, *, with_members: bool = True) -> Image:
        """As RegionClient has it."""

    def import_from_region(self, image_id: str, region: str, source_id: str, *, interface: str) -> None:
        """As RegionClient has it."""

    def list_import_tasks(self, image_id: str) -> tuple[ImportTask, ...]:
        """As RegionClient has it."""


@dataclass(frozen=True, kw_only=True)
class StoreCopy:
    """One copy: the source's image, of `size` bytes and this digest, to be the bytes of the queued replica. `source`,
    `target`: the stores, where the driver asked for some. `glance`: the target's, None in tests of drivers that need
    none. `target_region`: whose file it is to be; no other is replaced or removed. `base_id`: what most of the image
    may be in the target's store already, a replica that its owner may read. `unhashed`: the target's Glance verifies
    what is registered, so a driver that registers need not. `checksum`: the md5 that the source's Glance computed of
    the same bytes."""

    image_id: str
    replica_id: str
    size: int
    digest: Digest
    source: Scheme | None = None
    target: Scheme | None = None
    source_region: str = ""
    target_region: str = ""
    glance: TargetGlance | None = None
    base_id: str | None = None
    unhashed: bool = False
    checksum: str | None = None


class Progress(Protocol):
    """What a driver tells, and asks, while it works."""

    def check(self) -> None:
        """Cheap; raises what is to end the copy."""

    def report(self, step: str | None = None, bytes_done: int | None = None, bytes_total: int | None = None) -> None:
        """How far it is, in bytes: never less than before, and the size at its end."""


class CopyDriver(abc.ABC):
    """One way from store to store. Made once per process; opens nothing before the first copy."""

    name: str
    capabilities: Capabilities

    @abc.abstractmethod
    def find_obstacle(self, source: Scheme | None, target: Scheme | None) -> str | None:
        """Why it cannot copy between these two, None where it can. Does no I/O."""

    def describe_route(self, _source: Scheme, _target: Scheme) -> str | None:
        """Which way the bytes would take between these two now, and why no shorter one; None where there is but one.
        Does no I/O."""
        return None

    def check_route(self, _source: Scheme, _target: Scheme) -> str | None:
        """Try it, then as `describe_route`. Raises StoreCopyErrors."""
        return None

    @abc.abstractmethod
    def copy(self, copy: StoreCopy, progress: Progress) -> str | None:
        """Put the bytes where the target's Glance keeps them, verified there, and give the URL to register. A driver
        that registers nothing gives None, and the image is active then, with a hash that the target computed.

        Raises StoreCopyErrors and what `progress` raises; then nothing is left on either host that a host which answers
        can be asked to remove, and what the target's Glance still works on by itself is out of everybody's reach. What
        an earlier call left in the way is cleared away."""

    def verify(self, copy: StoreCopy, _progress: Progress) -> None:
        """Compare the hash of what an `unhashed` copy put there. Raises StoreCopyErrors."""
        raise StoreCopyError(f"the driver {self.name} has verified {copy.replica_id}, or cannot")

    @abc.abstractmethod
    def discard(self, copy: StoreCopy) -> None:
        """Remove what `copy` put there; nothing happens when it is gone. Raises StoreCopyErrors."""

    @abc.abstractmethod
    def check(self, scheme: Scheme) -> list[str]:
        """Try one store: what works and what it measured, a line each. Raises StoreCopyErrors."""

    def find_free_bytes(self, _scheme: Scheme) -> int | None:
        """How much room the store has; None where this driver knows no way to tell. Raises StoreCopyErrors."""
        return None

    @abc.abstractmethod
    def close(self) -> None:
        """End connections and processes. A copy that begins afterwards opens its own."""
