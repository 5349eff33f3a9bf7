# SPDX-License-Identifier: Apache-2.0
"""Listings that are read side by side, window by window. Called by reconcile."""
from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping
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
        self._ahead: deque[Row] = deque()

    def bound(self, last: str | None, limit: int) -> str | None:
        """How far to go for at most `limit` rows: `last` (None: the end) where there are fewer up to it."""
        while len(self._ahead) < limit and (row := self._read()) is not None:
            self._ahead.append(row)
        if len(self._ahead) < limit:
            return last
        return _lowest(last, self._key(self._ahead[limit - 1]))

    def take_until(self, last: str | None) -> dict[str, Row]:
        """Everything up to and with `last`; all that is left when None."""
        found: dict[str, Row] = {}
        while True:
            if not self._ahead and (row := self._read()) is not None:
                self._ahead.append(row)
            if not self._ahead or (last is not None and self._key(self._ahead[0]) > last):
                return found
            row = self._ahead.popleft()
            found[self._key(row)] = row

    def _read(self) -> Row | None:
        return next((row for row in self._rows if self._key(row) > self._after), None)


def in_parts(window: Mapping[str, Image], images: Cursor[Image], records: Cursor[Row], last: str | None,
             limit: int) -> Iterator[tuple[Mapping[str, Image], dict[str, Image], dict[str, Row]]]:
    """A window of the source beside what a region has up to `last`: in parts of at most `limit` images and records
    each, for a region may hold any number between two images of the source, and after the last one."""
    begin = ""
    while True:
        end = _lowest(images.bound(last, limit), records.bound(last, limit))
        part = {image_id: image for image_id, image in window.items()
                if image_id > begin and (end is None or image_id <= end)}
        yield part, images.take_until(end), records.take_until(end)
        if end is None or end == last:
            return
        begin = end


def _lowest(one: str | None, other: str | None) -> str | None:
    """None stands for the end of everything."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
