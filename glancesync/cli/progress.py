# SPDX-License-Identifier: Apache-2.0
"""Shows how work goes on: a live bar for each region on a terminal, plain lines elsewhere. Used by `run --wait`."""
from __future__ import annotations

from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from glancesync.cli import text
from glancesync.cli.follow import RegionCount
from glancesync.clock import Clock
from glancesync.model.text import inert

_LINE_SECONDS = 5.0


class Bars:
    """For a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(),
            TextColumn("{task.fields[words]}", markup=False), TimeRemainingColumn(compact=True),
            console=Console(file=stream), transient=False)
        self._bars: dict[str, TaskID] = {}
        self._rates = Rates()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None,
                 _trace: TracebackType | None) -> None:
        self._progress.stop()

    def update(self, regions: dict[str, RegionCount]) -> None:
        for name, count in sorted(regions.items()):
            words = _words(count, self._rates.of(name, count.done_bytes, self._progress.get_time()))
            if name not in self._bars:
                self._bars[name] = self._progress.add_task(inert(name), total=count.tasks, words=words)
            self._progress.update(self._bars[name], completed=min(count.done_share, count.tasks), words=words)


class Lines:
    """For a log or a pipe: a line for each region every few seconds, and when it is done."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._rates = Rates()
        self._told: dict[str, tuple[float, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: Any) -> None:
        self._stream.flush()

    def update(self, regions: dict[str, RegionCount]) -> None:
        now = self._clock.monotonic()
        for name, count in sorted(regions.items()):
            rate = self._rates.of(name, count.done_bytes, now)
            told_at, ended = self._told.get(name, (-_LINE_SECONDS, -1))
            finished = count.ended == count.tasks and ended != count.ended
            if finished or (now - told_at >= _LINE_SECONDS and count.ended < count.tasks):
                self._told[name] = (now, count.ended)
                print(f"{inert(name)}: {_words(count, rate)}", file=self._stream, flush=True)


class Rates:
    """Bytes per second of each region between two looks that are a second or more apart."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, int, float]] = {}

    def of(self, name: str, done_bytes: int, now: float) -> float:
        at, before, rate = self._last.get(name, (now, done_bytes, 0.0))
        if now - at >= 1:
            at, before, rate = now, done_bytes, max(0.0, (done_bytes - before) / (now - at))
        self._last[name] = (at, before, rate)
        return rate


def _words(count: RegionCount, rate: float) -> str:
    words = f"{count.ended} of {count.tasks}"
    if count.done_bytes:
        words += f", {text.size(count.done_bytes)}"
    if rate and count.running:
        words += f", {text.size(rate)}/s"
    return words
