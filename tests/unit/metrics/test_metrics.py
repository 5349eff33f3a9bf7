# SPDX-License-Identifier: Apache-2.0
"""What Prometheus reads, who may read it, and that the shipped dashboard and alerts read nothing else."""
from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path
from typing import Any

import pytest
import webob
import yaml
from oslo_config import cfg
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from glancesync.api.errors import HttpError
from glancesync.clock import ManualClock
from glancesync.conf import metrics as options
from glancesync.exceptions import ConfigurationError, ForbiddenError, NotReadyError
from glancesync.filter import textfile
from glancesync.filter.backlog import Depth
from glancesync.filter.status import Counters as OutboxCounters
from glancesync.metrics.collector import StateCollector
from glancesync.metrics.counters import Counters
from glancesync.metrics.processes import Here
from glancesync.metrics.stage import MetricsStage, may_read
from glancesync.service.statistics import DueTasks, Statistics
from tests.unit.api.fakes import OWN_IMAGE, new_task

ROOT = Path(__file__).parents[3]
LOOPBACK = options.MetricsSettings().allowed_addresses


class Source:
    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    def statistics(self) -> Statistics:
        self.asked += 1
        if self.error:
            raise self.error
        return Statistics(tasks={("waiting", "event", "Two"): 3, ("failed", "api", "Two"): 1},
                          due={"Two": DueTasks(count=2, oldest_seconds=12.5)},
                          replicas={"Two": {"in_sync": 5, "failed": 1}}, deletions_held=True)

    def list_servers(self) -> list[dict[str, Any]]:
        return [{"host": "one", "pid": 7, "state": state, "running_tasks": 2, "heartbeat_age_seconds": 1.5,
                 "clock_ahead_seconds": -0.25, "capacity": 16, "trouble": None} | more
                for state, more in (("serving", {"trouble": "the broker is away"}), ("stopping", {"host": "two"}),
                                    ("silent", {"pid": 8, "heartbeat_age_seconds": 99, "clock_ahead_seconds": None}))]

    def list_regions(self) -> list[dict[str, Any]]:
        well = {"gone_at": None, "breaker": {"state": "closed"}, "problems": [], "frozen": None}
        return [{"name": "One", **well}, {"name": "Two", **well, "breaker": {"state": "open"}},
                {"name": "Three", **well, "problems": ["not seen whole"],
                 "frozen": {"since": "2026-01-31T12:00:00.000Z", "by": None, "reason": "new disks"}},
                {"name": "Old", **well, "gone_at": "2026-01-31T12:00:00.000Z", "breaker": None}]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def registry(source: Source, clock: ManualClock) -> CollectorRegistry:
    """Everything that the server tells, with something in each metric."""
    found = CollectorRegistry()
    counters = Counters(found)
    counters.ended(new_task("a" * 32, OWN_IMAGE, region="Two"), state="failed", code="region_unavailable", failed=True,
                   seconds=2.0)
    counters.ended(new_task("a" * 32, OWN_IMAGE, region="Two"), state="done", code="in_sync", failed=False, seconds=2.0)
    counters.copied(driver="stream", source="One", target="Two", size=1000, seconds=0.5)
    counters.attempted(driver="stream", source="One", target="Two", code="transfer_failed")
    counters.came_in_sync("Two", 3.0)
    found.register(StateCollector(source=source, clock=clock, cache_seconds=lambda: 5.0, here=Here(
        running=lambda: 4, internal_errors=lambda: 0, listeners=lambda: 2)))
    return found


def _read(registry: CollectorRegistry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(generate_latest(registry).decode()) for sample in
            family.samples}


def _value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return _read(registry)[name, tuple(sorted(labels.items()))]


def test_runs_failures_copies_and_lag_are_counted(registry: CollectorRegistry) -> None:
    assert _value(registry, "glance_sync_runs_total", region="Two", trigger="event", state="done",
                  reason_code="in_sync") == 1
    assert _value(registry, "glance_sync_failures_total", region="Two", reason_code="region_unavailable") == 1
    link = {"driver": "stream", "source": "One", "target": "Two"}
    assert _value(registry, "glance_sync_copied_bytes_total", **link) == 1000
    assert _value(registry, "glance_sync_copy_seconds_total", **link) == 0.5
    assert _value(registry, "glance_sync_copies_total", **link) == 1
    assert _value(registry, "glance_sync_copy_attempts_total", **link, code="transfer_failed") == 1
    assert _value(registry, "glance_sync_lag_seconds_bucket", region="Two", le="5.0") == 1
    assert _value(registry, "glance_sync_lag_seconds_bucket", region="Two", le="2.0") == 0


def test_queue_and_regions_are_told_as_they_are(registry: CollectorRegistry) -> None:
    assert _value(registry, "glance_sync_tasks", state="waiting", trigger="event", region="Two") == 3
    assert _value(registry, "glance_sync_queue_depth", region="Two") == 2
    assert _value(registry, "glance_sync_queue_age_seconds", region="Two") == 12.5
    assert _value(registry, "glance_sync_replicas", region="Two", state="failed") == 1
    assert _value(registry, "glance_sync_deletions_held") == 1
    assert {name: _value(registry, "glance_sync_region_up", region=name) for name in ("One", "Two", "Three")} == {
        "One": 1, "Two": 0, "Three": 0}
    assert _value(registry, "glance_sync_region_breaker", region="Two", state="open") == 1
    assert {name: _value(registry, "glance_sync_region_frozen", region=name) for name in ("One", "Three")} == {
        "One": 0, "Three": 1}
    assert _value(registry, "glance_sync_region_gone", region="Old") == 1
    assert _value(registry, "glance_sync_running_tasks") == 4
    one, silent = {"host": "one", "pid": "7"}, {"host": "one", "pid": "8"}
    assert (_value(registry, "glance_sync_server_up", **one), _value(registry, "glance_sync_server_up", **silent)) == (
        1, 0)
    assert _value(registry, "glance_sync_server_up", host="two", pid="7") == 1
    assert _value(registry, "glance_sync_server_running_tasks", **one) == 2
    assert _value(registry, "glance_sync_server_capacity", **one) == 16
    assert (_value(registry, "glance_sync_server_in_trouble", **one),
            _value(registry, "glance_sync_server_in_trouble", **silent)) == (1, 0)
    assert _value(registry, "glance_sync_server_heartbeat_age_seconds", **silent) == 99
    assert _value(registry, "glance_sync_server_clock_ahead_seconds", host="two", pid="7") == -0.25
    assert registry.get_sample_value("glance_sync_server_clock_ahead_seconds", silent) is None


def test_the_database_is_asked_rarely(registry: CollectorRegistry, source: Source, clock: ManualClock) -> None:
    for seconds in (0, 1, 3.9, 0.2, 1):
        clock.advance(seconds)
        _read(registry)
    assert source.asked == 2


def test_a_database_that_is_away_is_told_and_nothing_false_beside(registry: CollectorRegistry, source: Source) -> None:
    source.error = NotReadyError("away")
    found = _read(registry)
    assert found["glance_sync_up", ()] == 0
    assert not any(name == "glance_sync_tasks" for name, _labels in found)


@pytest.mark.parametrize(("environ", "trusts", "expected"), [
    ({"REMOTE_ADDR": "127.0.0.1"}, False, True), ({"REMOTE_ADDR": "::1"}, False, True),
    ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, False, True), ({"REMOTE_ADDR": "192.0.2.1"}, False, False),
    ({"REMOTE_ADDR": ""}, False, False), ({}, False, False), ({"REMOTE_ADDR": "unknown"}, True, False),
    ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}, False, False),
    ({"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=192.0.2.1"}, False, False),
    ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, True, True),
    ({"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}, True, False)])
def test_who_may_read(environ: dict[str, str], trusts: bool, expected: bool) -> None:
    assert may_read(environ, LOOPBACK, trusts_proxy=trusts) is expected


def test_nobody_may_where_nobody_is_allowed() -> None:
    assert not may_read({"REMOTE_ADDR": "127.0.0.1"}, (), trusts_proxy=False)


def test_the_stage_answers_its_path_only(registry: CollectorRegistry) -> None:
    stage = MetricsStage(webob.Response(body=b"inside"), registry=registry, allowed=LOOPBACK, trusts_proxy=False)

    def ask(path: str, address: str = "127.0.0.1", method: str = "GET") -> webob.Response:
        request = webob.Request.blank(path, method=method)
        request.environ["REMOTE_ADDR"] = address
        return request.get_response(stage)

    assert ask("/v1/tasks").body == b"inside"
    assert b"glance_sync_build_info{version=" in ask("/metrics").body
    assert ask("/metrics").headers["Content-Type"].startswith("text/plain")
    with pytest.raises(ForbiddenError):
        ask("/metrics", "192.0.2.1")
    with pytest.raises(HttpError):
        ask("/metrics", method="POST")


def test_a_wrong_address_is_refused_by_name() -> None:
    conf = cfg.ConfigOpts()
    options.register_opts(conf)
    conf([], default_config_files=[])
    assert options.read(conf).allowed_addresses[0] == ipaddress.ip_network("127.0.0.0/8")
    conf.set_override("allowed_addresses", ["192.0.2.0/24", "prometheus"], group="metrics")
    with pytest.raises(ConfigurationError, match="allowed_addresses holds 'prometheus'"):
        options.read(conf)


def _outbox() -> str:
    return textfile.render(OutboxCounters(delivered=7, lost=1, last_delivered_at=5.0),
                           Depth(events=3, bytes=300, oldest_at=90.0), now=100.0)


def test_the_filters_text_is_what_prometheus_reads() -> None:
    found = {sample.name: sample.value for family in text_string_to_metric_families(_outbox())
             for sample in family.samples}
    assert found["glance_sync_outbox_events"] == 3
    assert found["glance_sync_outbox_oldest_age_seconds"] == 10
    assert found["glance_sync_outbox_delivered_total"] == 7
    assert found["glance_sync_outbox_lost_total"] == 1


def _used(text: str) -> set[str]:
    return set(re.findall(r"\bglance_sync_[a-z_]+", text))


def _known(registry: CollectorRegistry) -> set[str]:
    families = [*text_string_to_metric_families(generate_latest(registry).decode()),
                *text_string_to_metric_families(_outbox())]
    return {sample.name for family in families for sample in family.samples}


def test_alerts_read_only_metrics_that_there_are(registry: CollectorRegistry) -> None:
    rules = yaml.safe_load((ROOT / "etc" / "prometheus" / "glance-sync.rules.yaml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len(alerts) >= 8
    for rule in alerts:
        assert _used(rule["expr"]), rule
        assert _used(rule["expr"]) <= _known(registry), rule["alert"]
        assert {"summary", "description"} <= set(rule["annotations"]), rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_the_dashboard_reads_only_metrics_that_there_are(registry: CollectorRegistry) -> None:
    dashboard = json.loads((ROOT / "etc" / "grafana" / "glance-sync.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(expressions) >= 10
    for expression in expressions:
        assert _used(expression), expression
        assert _used(expression) <= _known(registry), expression
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_the_documentation_has_every_metric(registry: CollectorRegistry) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    families = [*text_string_to_metric_families(generate_latest(registry).decode()),
                *text_string_to_metric_families(_outbox())]
    for family in families:
        if not family.name.endswith("_created"):
            assert f"`{family.name}" in page, family.name
