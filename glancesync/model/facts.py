# SPDX-License-Identifier: Apache-2.0
"""What a Glance tells of itself: what it takes, where it puts it, and how much of a quota is used."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class StoreFact:
    """One of its stores; `kind` is Glance's word (file, http, rbd, ...), None where it does not tell."""

    id: str
    kind: str | None = None
    is_default: bool = False


@dataclass(frozen=True, kw_only=True)
class QuotaFact:
    """How much of one quota our project uses, and how much it may: bytes for sizes. A `limit` of None is none."""

    used: int
    limit: int | None


@dataclass(frozen=True, kw_only=True)
class GlanceFacts:
    """What is None it does not tell. `quotas` by Glance's names (image_size_total, image_count_total, ...)."""

    import_methods: frozenset[str] | None = None
    disk_formats: frozenset[str] | None = None
    container_formats: frozenset[str] | None = None
    stores: tuple[StoreFact, ...] | None = None
    quotas: Mapping[str, QuotaFact] = field(default_factory=dict)

    def find_store(self, kind: str) -> StoreFact | None:
        """The first store of this kind."""
        return next((store for store in self.stores or () if store.kind == kind), None)
