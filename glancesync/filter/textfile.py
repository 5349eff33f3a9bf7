# SPDX-License-Identifier: Apache-2.0
"""The outbox as Prometheus reads it, in a file for node_exporter's textfile collector ([glance_sync] metrics_file).

Used by `sender` beside the status file. Written without prometheus_client, which Glance does not bring.
"""
from __future__ import annotations

import os
from pathlib import Path

from glancesync.filter.backlog import Depth
from glancesync.filter.files import part_path
from glancesync.filter.status import Counters


def render(counters: Counters, depth: Depth, *, now: float) -> str:
    """Everything in Prometheus' text format; `now` is seconds since the epoch."""
    age = 0.0 if depth.oldest_at is None else max(0.0, round(now - depth.oldest_at, 3))
    rows = [
        ("gauge", "glance_sync_outbox_events", "Events that wait for the sync server.", depth.events),
        ("gauge", "glance_sync_outbox_bytes", "What they take on disk.", depth.bytes),
        ("gauge", "glance_sync_outbox_oldest_age_seconds", "How long the oldest of them waits.", age),
        ("gauge", "glance_sync_outbox_updated_timestamp_seconds", "When these numbers were written.", round(now, 3)),
        ("counter", "glance_sync_outbox_delivered_total", "Events that the sync server took.", counters.delivered),
        ("counter", "glance_sync_outbox_refused_total", "Events that it refused.", counters.refused),
        ("counter", "glance_sync_outbox_lost_total", "Events for which one `look at everything` stands.",
         counters.lost),
        ("counter", "glance_sync_outbox_damaged_total", "Records that were unreadable.", counters.damaged),
        ("counter", "glance_sync_outbox_failures_total", "Deliveries that failed and were tried again.",
         counters.failures)]
    return "".join(f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name} {value}\n" for kind, name, text, value in rows)


def write(path: Path, text: str) -> None:
    """Replace the file in one step, readable by everybody: it holds numbers only. Raises OSError."""
    part = part_path(path)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        os.fchmod(stream.fileno(), 0o644)
        stream.write(text)
    part.replace(path)
