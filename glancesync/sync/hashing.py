# SPDX-License-Identifier: Apache-2.0
"""Hashes of a stream, computed in a native thread so that the hub goes on moving bytes meanwhile."""
from __future__ import annotations

import hashlib
from collections.abc import Iterable

from glancesync import concurrency

_BATCH_BYTES = 1024 * 1024


class StreamHasher:
    """Counts and hashes chunks with several algorithms (as hashlib names them). Feed it from one green thread."""

    def __init__(self, algorithms: Iterable[str]) -> None:
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self.size = 0

    def feed(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._batch.append(chunk)
        self._batch_bytes += len(chunk)
        if self._batch_bytes >= _BATCH_BYTES:
            self._flush()

    def digests(self) -> dict[str, str]:
        """Algorithm to lower-case hex of all that was fed."""
        self._flush()
        return {name: found.hexdigest() for name, found in self._hashes.items()}

    def _flush(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if batch:
            concurrency.run_native(self._update, batch)

    def _update(self, batch: list[bytes]) -> None:
        for found in self._hashes.values():
            for chunk in batch:
                found.update(chunk)


def is_known_algorithm(name: str) -> bool:
    """Whether hashlib can compute it with a fixed length."""
    return name in hashlib.algorithms_available and not name.startswith("shake")
