# SPDX-License-Identifier: Apache-2.0
"""Interleaved rounds, medians with their spread, and tables. Used by every benchmark here.

Rounds go A B C, B C A, C A B, ...: whatever else the machine does hits all sides alike, and none always runs after the
same other one. A ratio is made within each round, and the median of the rounds' ratios is shown.
"""
from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Sample = Mapping[str, float]
#: One run of one side: what was measured, by the measure's name.
Side = Callable[[], Sample]
Row = Sequence[object]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median and the quartiles; with fewer than four values the lowest and the highest."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    if len(values) < 4:
        return Spread(median=statistics.median(values), low=min(values), high=max(values))
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median=median, low=low, high=high)


class Results:
    """What the rounds gave, by side and measure."""

    def __init__(self) -> None:
        self._samples: dict[str, list[Sample]] = {}

    @property
    def sides(self) -> list[str]:
        return sorted(self._samples)

    def add(self, side: str, sample: Sample) -> None:
        self._samples.setdefault(side, []).append(sample)

    def values(self, side: str, measure: str) -> Spread:
        return spread([sample[measure] for sample in self._samples[side]])

    def ratio(self, side: str, base: str, measure: str) -> Spread:
        """The side's measure over the base's, round by round."""
        return spread([one[measure] / other[measure]
                       for one, other in zip(self._samples[side], self._samples[base], strict=True)])

    def total(self, side: str, measure: str) -> float:
        """The sum of all rounds."""
        return sum(sample[measure] for sample in self._samples[side])

    def total_ratio(self, side: str, base: str, measure: str) -> str:
        """The sums of all rounds, one over the other: for what is measured in coarse steps."""
        own, other = (self.total(name, measure) for name in (side, base))
        return f"{own / other:.2f}" if other else "-"


def interleave(sides: Mapping[str, Side], rounds: int) -> Results:
    """Run every side once in each round, each round beginning with another side."""
    results, names = Results(), list(sides)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            results.add(name, sides[name]())
    return results


def clocked(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def print_table(title: str, header: Row, rows: Sequence[Row]) -> None:
    """A table that reads as Markdown as well."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
             for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print(f"\n{title} ({machine()})\n", *lines, sep="\n", flush=True)


def machine() -> str:
    """Where and under which load the figures came about."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} CPUs, load {load} at the end, Python {platform.python_version()}"


def new_parser(doc: str | None, *, rounds: int, quick_rounds: int) -> argparse.ArgumentParser:
    """The options of all benchmarks: --rounds, --quick. What `doc` says is shown by --help."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help=f"how often each side runs ({rounds}, with --quick {quick_rounds})")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs, not how fast")
    parser.set_defaults(normal_rounds=rounds, quick_rounds=quick_rounds)
    return parser


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (options.quick_rounds if options.quick else options.normal_rounds)
    return options


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time that these processes have used since they began, in steps of a clock tick (10 ms)."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
