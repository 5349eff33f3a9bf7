# SPDX-License-Identifier: Apache-2.0
"""How the demo shows what happens: a live table on a terminal, a line for each step elsewhere. Called by `demo`."""
from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from glancesync.lab.sync_state import ImageState, ReplicaState

COLOURS = {"in_sync": "green", "copying": "cyan", "waiting": "yellow", "failed": "red", "conflict": "red"}
UNITS = ((1024 ** 3, "GiB"), (1024 ** 2, "MiB"), (1024, "KiB"))
BAR_CELLS = 10
CELL_WIDTH = 24
STEP_PERCENT = 25


def format_bytes(count: float) -> str:
    for size, unit in UNITS:
        if count >= size:
            return f"{count / size:.0f} {unit}"
    return f"{count:.0f} B"


def describe(replica: ReplicaState | None) -> str:
    """One cell: the state, and while bytes move how many."""
    if replica is None:
        return "-"
    if replica.state == "copying":
        filled = replica.percent * BAR_CELLS // 100
        rate = replica.rate_bytes_per_second
        speed = f" {format_bytes(rate)}/s" if rate else ""
        return f"{'█' * filled}{'░' * (BAR_CELLS - filled)} {replica.percent:3d} %{speed}"
    if replica.state in ("failed", "conflict") and replica.reason:
        return f"{replica.state}: {replica.reason}"
    return replica.state


def describe_result(replica: ReplicaState | None) -> str:
    """One cell of the last table: digest, lag and rate."""
    if replica is None or replica.state != "in_sync":
        return describe(replica)
    parts = [f"{replica.digest[:12]}…" if replica.digest else "no digest"]
    if replica.lag_seconds is not None:
        parts.append(f"lag {replica.lag_seconds:.1f} s")
    if replica.rate_bytes_per_second:
        parts.append(f"{format_bytes(replica.rate_bytes_per_second)}/s")
    return ", ".join(parts)


def result_table(names: Mapping[str, str], states: Mapping[str, ImageState], regions: Sequence[str]) -> Table:
    """Images x regions: what was verified there. `names`: the demo's names by image id, in order."""
    return _table("verified in each region", names, states, regions, result=True)


def _table(title: str, names: Mapping[str, str], states: Mapping[str, ImageState], regions: Sequence[str], *,
           result: bool) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("image", "id", *regions):
        # The columns keep their width while their cells change.
        table.add_column(heading, no_wrap=heading == "id", min_width=0 if result or heading == "id" else CELL_WIDTH)
    for image_id, name in names.items():
        replicas = states[image_id].replicas if image_id in states else {}
        cells = [Text(describe_result(replicas.get(region)) if result else describe(replicas.get(region)),
                      style=COLOURS.get(replicas[region].state, "") if region in replicas else "dim")
                 for region in regions]
        table.add_row(Text(name), image_id[:8], *cells)
    return table


class ProgressView:
    """Shows each reading of the server's state; `watching` is the span in which a live table stands."""

    def __init__(self, console: Console, regions: Sequence[str]) -> None:
        self._console = console
        self._regions = regions
        self._live: Live | None = None
        self._shown: dict[tuple[str, str], str] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=8) as self._live:
            yield
        self._live = None

    def show(self, names: Mapping[str, str], states: Mapping[str, ImageState]) -> None:
        if self._live is not None:
            self._live.update(_table("progress", names, states, self._regions, result=False))
            return
        for image_id, name in names.items():
            if image_id in states:
                self._print_news(name, states[image_id])

    def forget(self, image_ids: Collection[str]) -> None:
        """Their next state is news even if it is the same."""
        self._shown = {key: text for key, text in self._shown.items() if key[0] not in image_ids}

    def _print_news(self, name: str, image: ImageState) -> None:
        for region in self._regions:
            replica = image.replicas.get(region)
            if replica is None:
                continue
            stage = f"{replica.state} {replica.percent // STEP_PERCENT if replica.state == 'copying' else ''}"
            if self._shown.get((image.id, region)) != stage:
                self._shown[image.id, region] = stage
                self._console.print(f"  {name:<20} {region:<12} {describe(replica)}", markup=False, highlight=False)
