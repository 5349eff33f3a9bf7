# SPDX-License-Identifier: Apache-2.0
"""How values look to a person."""
from __future__ import annotations

import pytest

from glancesync.cli import text


@pytest.mark.parametrize(("count", "seen"), [
    (None, ""), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536 * 1024, "1.5 MiB"), (5 << 30, "5.0 GiB"),
    (1 << 60, "1024.0 PiB")])
def test_sizes(count: int | None, seen: str) -> None:
    assert text.size(count) == seen


@pytest.mark.parametrize(("seconds", "seen"), [
    (None, ""), (0.42, "0.4 s"), (75, "75 s"), (720, "12 min"), (10800, "3 h"), (200000, "2 d")])
def test_durations(seconds: float | None, seen: str) -> None:
    assert text.duration(seconds) == seen


@pytest.mark.parametrize(("done", "total", "seen"), [
    (None, 5, ""), (1, None, ""), (0, 0, "100 % of 0 B"), (1 << 20, 4 << 20, "25 % of 4.0 MiB")])
def test_progress(done: int | None, total: int | None, seen: str) -> None:
    assert text.progress(done, total) == seen


@pytest.mark.parametrize(("fields", "seen"), [
    ({"state": "in_sync", "reason_code": "in_sync"}, "in_sync"),
    ({"state": "copying", "bytes_done": 1, "bytes_total": 3, "reason_code": "copying"}, "copying 33 %"),
    ({"state": "failed", "reason_code": "region_unavailable"}, "failed (region_unavailable)"),
    ({"state": "waiting", "reason_code": None}, "waiting")])
def test_standing(fields: dict[str, object], seen: str) -> None:
    assert text.standing(fields) == seen
