# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glancesync.clock import ManualClock
from glancesync.filter.backlog import Backlog
from glancesync.filter.complaints import Complaints, Guard
from glancesync.filter.daemon import SenderThread
from glancesync.filter.reporter import Reporter
from glancesync.filter.sender import Sender
from glancesync.model.event import Event, Operation
from tests.unit.filter.fakes import FakeClient, image_id, outbox_at

IMAGE = SimpleNamespace(image_id=image_id(1))


def context(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"request_id": "req-1", "user_id": "u", "project_id": "p", "roles": ["member"], **values})


class Thread(SenderThread):
    """Counts what would start; the real thread is shown in test_daemon."""

    started = 0

    def start(self) -> None:
        self.started += 1


class Node:
    def __init__(self, directory: Path) -> None:
        clock = ManualClock(1234.5)
        complaints = Complaints(clock)
        guard = Guard(complaints)
        self.directory = directory
        self.outbox = outbox_at(directory, clock)
        sender = Sender(outbox=self.outbox, connect=FakeClient, clock=clock, complaints=complaints)
        self.thread = Thread(sender=sender, guard=guard)
        self.reporter = Reporter(outbox=self.outbox, thread=self.thread, guard=guard, clock=clock,
                                 complaints=complaints, host="node")

    @property
    def events(self) -> list[Event]:
        return Backlog(self.directory).read(1000).events


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "box")


def test_an_event_tells_who_did_what_when_and_where(node: Node) -> None:
    node.reporter.report(Operation.SAVE, IMAGE, context())
    [one] = node.events
    assert one == Event(id=one.id, operation=Operation.SAVE, image_id=image_id(1), at=1234.5, request_id="req-1",
                        user_id="u", project_id="p", roles=("member",), host="node")
    assert node.thread.started == 1


def test_ids_differ(node: Node) -> None:
    for _ in range(20):
        node.reporter.report(Operation.SAVE, IMAGE, context())
    assert len({one.id for one in node.events}) == 20


@pytest.mark.parametrize(("given", "told"), [("req-a", "req-a"), ("a", "req-a"), (None, None), ("", None),
                                              ("req-\u00e4 \x1b\n<", "req-????<")])
def test_the_request_id_is_the_one_that_glance_shows(node: Node, given: str | None, told: str | None) -> None:
    node.reporter.report(Operation.SAVE, IMAGE, context(request_id=given))
    assert node.events[0].request_id == told


def test_odd_contexts_are_recorded_all_the_same(node: Node) -> None:
    node.reporter.report(Operation.SAVE, IMAGE, None)
    node.reporter.report(Operation.SAVE, IMAGE, context(roles=None, user_id=None, request_id=None))
    node.reporter.report(Operation.SAVE, IMAGE, context(roles=["r" * 999] * 999, user_id="u" * 999,
                                                        request_id="x" * 999))
    assert [(len(one.roles), len(one.user_id or ""), len(one.request_id or "")) for one in node.events] == [
        (0, 0, 0), (0, 0, 0), (100, 255, 255)]
    assert node.outbox.lost == 0


class Broken:
    @property
    def image_id(self) -> str:
        raise RuntimeError("boom")


def test_nothing_that_goes_wrong_leaves_the_reporter(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        node.reporter.report(Operation.SAVE, Broken(), context())
    assert node.outbox.lost == 5
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "RuntimeError" in warnings[0].getMessage()
    node.reporter.report(Operation.SAVE, IMAGE, context())
    assert [one.operation.value for one in node.events] == ["all", "save"]


def test_a_thread_that_cannot_start_costs_no_event(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread() -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(node.thread, "start", no_thread)
    node.reporter.report(Operation.SAVE, IMAGE, context())
    node.reporter.ensure_running()
    assert len(node.events) == 1


def test_an_id_that_no_event_can_carry_is_told_and_is_no_reason_to_look_at_everything(
        node: Node, caplog: pytest.LogCaptureFixture) -> None:
    node.reporter.report(Operation.SAVE, SimpleNamespace(image_id="no id"), context())
    assert node.outbox.lost == 0
    assert "no id" in caplog.text


def test_a_child_writes_its_own_segment(node: Node) -> None:
    node.reporter.report(Operation.SAVE, IMAGE, context())
    node.reporter.after_fork()
    assert node.thread.started == 1, "a child may live only to exec: nothing starts by the fork itself"
    node.reporter.report(Operation.SAVE, IMAGE, context())
    assert len([path for path in node.directory.iterdir() if path.suffix == ".log"]) == 2
    assert len(node.events) == 2
