# SPDX-License-Identifier: Apache-2.0
"""Listings that are read side by side, window by window. Called by reconcile."""
from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from glancesync.model.image import Image
from glancesync.regions.client import RegionClient

Row = TypeVar("Row")


def list_all(client: RegionClient, page_size: int) -> Iterator[Image]:
    """Hidden and visible images in one ascending stream."""
    return heapq.merge(client.list_images(hidden=False, page_size=page_size),
                       client.list_images(hidden=True, page_size=page_size), key=lambda image: image.id)


class Cursor(Generic[Row]):
    """An ascending stream that is read window by window. What comes up to and with `after` is passed over."""

    def __init__(self, rows: Iterator[Row], key: Callable[[Row], str], *, after: str = "") -> None:
        self._rows = rows
        self._key = key
        self._after = after
        self._next: Row | None = None

    def take_until(self, last: str | None) -> dict[str, Row]:
        """Everything up to and with `last`; all that is left when None."""
        found: dict[str, Row] = {}
        while True:
            if self._next is None:
                self._next = self._read()
            if self._next is None or (last is not None and self._key(self._next) > last):
                return found
            found[self._key(self._next)] = self._next
            self._next = None

    def _read(self) -> Row | None:
        return next((row for row in self._rows if self._key(row) > self._after), None)
