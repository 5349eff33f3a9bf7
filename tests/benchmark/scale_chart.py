# SPDX-License-Identifier: Apache-2.0
"""Draws how times grow with the number of pairs, as an SVG for docs/performance.md. Used by the scale benchmark.

Both axes are logarithmic: what stays flat is flat, what grows with the number rises by 45 degrees. Beyond what was
measured the last two points are drawn on, dashed.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 760, 420, 60, 20, 240, 50
_COLOURS = ("#0b6fb8", "#c4421a", "#2c8a3d", "#8a4fb5", "#8a6d00", "#007a7a", "#b01865", "#555555")
_BEYOND = 10  # times as many pairs as measured


def draw(path: Path, title: str, curves: Mapping[str, Mapping[int, float]]) -> None:
    """`curves`: name to number of pairs to milliseconds."""
    pairs = sorted({number for curve in curves.values() for number in curve})
    far = pairs[-1] * _BEYOND
    drawn = {name: [*sorted(curve.items()), (far, _extrapolated(sorted(curve.items()), far))]
             for name, curve in curves.items()}
    values = [value for points in drawn.values() for _, value in points]
    frame = _Frame((pairs[0], far), (min(values), max(values)))
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
             f'font-size="11"><title>{escape(title)}</title><rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
             *frame.grid([*pairs, far])]
    labels = _spread_out({name: frame.y(points[-1][1]) for name, points in drawn.items()})
    for colour, (name, points) in zip(_COLOURS, drawn.items(), strict=False):
        lines += [frame.line(points[:-1], colour), frame.line(points[-2:], colour, dashed=True)]
        lines.append(f'<text x="{frame.x(far) + 6:.0f}" y="{labels[name]:.0f}" fill="{colour}">{escape(name)}</text>')
    path.write_text("\n".join([*lines, "</svg>", ""]))


def _extrapolated(points: Sequence[tuple[int, float]], far: int) -> float:
    """A power law through the last two points."""
    (one, first), (two, second) = points[-2:]
    return second * (second / first) ** (math.log(far / two) / math.log(two / one))


def _spread_out(wanted: Mapping[str, float]) -> dict[str, float]:
    """No label covers another."""
    found, lowest = {}, -math.inf
    for name, y in sorted(wanted.items(), key=lambda each: each[1]):
        lowest = found[name] = max(y + 4, lowest + 13)
    return found


class _Frame:
    def __init__(self, across: tuple[float, float], up: tuple[float, float]) -> None:
        self._across = [math.log10(each) for each in across]
        self._up = [math.floor(math.log10(up[0])), math.ceil(math.log10(up[1]))]

    def x(self, pairs: float) -> float:
        low, high = self._across
        return _LEFT + (math.log10(pairs) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, milliseconds: float) -> float:
        low, high = self._up
        return _HEIGHT - _BOTTOM - (math.log10(milliseconds) - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    def grid(self, pairs: Sequence[int]) -> list[str]:
        right, bottom = self.x(pairs[-1]), _HEIGHT - _BOTTOM
        lines = []
        for power in range(self._up[0], self._up[1] + 1):
            y = self.y(10.0 ** power)
            lines.append(f'<line x1="{_LEFT}" y1="{y:.0f}" x2="{right:.0f}" y2="{y:.0f}" stroke="#dddddd"/>'
                         f'<text x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{10.0 ** power:g} ms</text>')
        for number in pairs:
            x = self.x(number)
            lines.append(f'<line x1="{x:.0f}" y1="{_TOP}" x2="{x:.0f}" y2="{bottom}" stroke="#dddddd"/>'
                         f'<text x="{x:.0f}" y="{bottom + 16}" text-anchor="middle">{number:,}</text>')
        return [*lines, f'<text x="{(_LEFT + right) / 2:.0f}" y="{bottom + 36}" text-anchor="middle">pairs of an image '
                        'and a region</text>']

    def line(self, points: Sequence[tuple[int, float]], colour: str, *, dashed: bool = False) -> str:
        where = " ".join(f"{self.x(pairs):.1f},{self.y(value):.1f}" for pairs, value in points)
        return f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="2"' \
            f'{" stroke-dasharray=" + chr(34) + "4 4" + chr(34) if dashed else ""}/>'
