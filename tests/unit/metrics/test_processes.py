# SPDX-License-Identifier: Apache-2.0
"""What one of several processes tells of itself. That /metrics adds them up is shown with real ones (tests/probe)."""
from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from glancesync.metrics.processes import Here, SharedGauges, new_registries


def test_what_a_process_has_is_shown_when_it_is_asked():
    running, registry = [], CollectorRegistry()
    gauges = SharedGauges(registry, Here(running=lambda: len(running), internal_errors=lambda: 2, listeners=lambda: 0))
    running.append("a task")
    assert "glance_sync_running_tasks 0.0" in generate_latest(registry).decode()
    gauges.show()
    told = generate_latest(registry).decode()
    assert "glance_sync_running_tasks 1.0" in told
    assert "glance_sync_internal_errors 2.0" in told


def test_numbers_at_the_moment_end_with_their_process_and_errors_stay():
    modes = {name: mode for name, _text, _ask, mode in Here(
        running=lambda: 0, internal_errors=lambda: 0, listeners=lambda: 0).rows()}
    assert modes == {"glance_sync_running_tasks": "livesum", "glance_sync_internal_errors": "sum",
                     "glance_sync_web_listeners": "livesum"}


def test_a_process_that_is_alone_counts_into_what_is_told():
    found = new_registries(several=False)
    assert found.told is found.counted
