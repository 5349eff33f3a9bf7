# SPDX-License-Identifier: Apache-2.0
"""The contract of what moves bytes from one store to another, past the Glances. Drivers are entry points of the
namespace `glancesync.stores`; sync.shortcut calls them."""
from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Protocol

from glancesync.model.image import Digest
from glancesync.model.store import Scheme


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """`source_scheme`, `target_scheme`: what the two stores must be. `algorithms`: the hashes that it verifies with on
    the target's host. `registers`: the target's Glance has to register a location of this scheme."""

    source_scheme: str
    target_scheme: str
    algorithms: frozenset[str]
    registers: str


@dataclass(frozen=True, kw_only=True)
class StoreCopy:
    """One copy: the source's image, of `size` bytes and this digest, to be the bytes of the replica."""

    image_id: str
    replica_id: str
    size: int
    digest: Digest
    source: Scheme
    target: Scheme


class Progress(Protocol):
    """What a driver tells, and asks, while it works."""

    def check(self) -> None:
        """Cheap; raises what is to end the copy."""

    def report(self, step: str | None = None, bytes_done: int | None = None, bytes_total: int | None = None) -> None:
        """How far it is, in bytes."""


class CopyDriver(abc.ABC):
    """One way from store to store. Made once per process; opens nothing before the first copy."""

    name: str
    capabilities: Capabilities

    @abc.abstractmethod
    def find_obstacle(self, source: Scheme, target: Scheme) -> str | None:
        """Why it cannot copy between these two, None where it can. Does no I/O."""

    def describe_route(self, _source: Scheme, _target: Scheme) -> str | None:
        """Which way the bytes would take between these two now, and why no shorter one; None where there is but one.
        Does no I/O."""
        return None

    def check_route(self, _source: Scheme, _target: Scheme) -> str | None:
        """Try it, then as `describe_route`. Raises StoreCopyErrors."""
        return None

    @abc.abstractmethod
    def copy(self, copy: StoreCopy, progress: Progress) -> str:
        """Put the bytes where the target's Glance keeps them, verified there; the URL to register. Raises
        StoreCopyErrors and what `progress` raises; then nothing is left on either host that a host which answers can
        be asked to remove."""

    @abc.abstractmethod
    def discard(self, copy: StoreCopy) -> None:
        """Remove what `copy` put there; nothing happens when it is gone. Raises StoreCopyErrors."""

    @abc.abstractmethod
    def check(self, scheme: Scheme) -> list[str]:
        """Try one store: what works and what it measured, a line each. Raises StoreCopyErrors."""

    @abc.abstractmethod
    def close(self) -> None:
        """End connections."""
