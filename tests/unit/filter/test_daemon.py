# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from glancesync.clock import SystemClock
from glancesync.filter import daemon
from glancesync.filter.complaints import Complaints, Guard
from glancesync.filter.daemon import SenderThread
from glancesync.filter.outbox import Outbox
from glancesync.filter.sender import Pause, Sender
from tests.unit.filter.fakes import MIB, FakeClient, event


class SignallingClient(FakeClient):
    def __init__(self) -> None:
        super().__init__()
        self.arrived = threading.Event()

    def submit_events(self, events: object) -> list[str]:
        super().submit_events(events)  # type: ignore[arg-type]
        self.arrived.set()
        return []


class Node:
    def __init__(self, directory: Path) -> None:
        clock = SystemClock()
        complaints = Complaints(clock)
        self.client = SignallingClient()
        self.outbox = Outbox(directory=directory, max_bytes=MIB, host="node", clock=clock, complaints=complaints)
        self.sender = Sender(outbox=self.outbox, connect=lambda: self.client, clock=clock, complaints=complaints)
        self.thread = SenderThread(sender=self.sender, guard=Guard(complaints))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "box")
    yield made
    made.thread.stop(5)


def test_the_constructor_starts_nothing(node: Node) -> None:
    before = threading.active_count()
    assert not node.thread.is_running
    assert threading.active_count() == before


def test_an_event_is_on_its_way_at_once(node: Node) -> None:
    node.outbox.append(event(1))
    node.thread.start()
    assert node.client.arrived.wait(5)
    node.client.arrived.clear()
    node.outbox.append(event(2))
    node.thread.wake()
    assert node.client.arrived.wait(5)
    assert len(node.client.events) == 2


class IdleSender:
    """Has nothing to do until it is woken."""

    leading = True

    def __init__(self) -> None:
        self.runs: queue.Queue[int] = queue.Queue()

    def run_once(self) -> Pause:
        self.runs.put(1)
        return Pause(seconds=60, wakeable=True)


@pytest.mark.parametrize(("answer_seconds", "is_sent"), [(0.01, True), (60, False)])
def test_the_users_answer_goes_out_before_the_event(answer_seconds: float, is_sent: bool,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "ANSWER_SECONDS", answer_seconds)
    sender = IdleSender()
    thread = SenderThread(sender=sender, guard=Guard(Complaints(SystemClock())))  # type: ignore[arg-type]
    thread.start()
    sender.runs.get(timeout=5)
    thread.wake()
    if is_sent:
        sender.runs.get(timeout=5)
    thread.stop(5)
    assert not thread.is_running
    assert sender.runs.empty()


def test_starting_again_starts_one_thread(node: Node) -> None:
    node.thread.start()
    before = threading.active_count()
    starters = [threading.Thread(target=node.thread.start) for _ in range(8)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert threading.active_count() == before


def test_the_thread_outlives_what_nobody_thought_of(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "_AFTER_AN_ERROR", Pause(seconds=0))
    failed = threading.Event()
    real = node.sender.run_once

    def fails_once() -> Pause:
        if not failed.is_set():
            failed.set()
            raise KeyError("a bug")
        return real()

    monkeypatch.setattr(node.sender, "run_once", fails_once)
    node.outbox.append(event())
    node.thread.start()
    assert node.client.arrived.wait(5)
    assert failed.is_set()


def test_a_process_that_serves_without_forking_starts_by_itself(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "SETTLE_SECONDS", 0.01)
    node.outbox.append(event())
    node.thread.start_soon()
    assert node.client.arrived.wait(5)


def test_a_process_that_forks_does_not_start_by_itself(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "SETTLE_SECONDS", 30)
    node.thread.start_soon()
    [timer] = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    node.thread.before_fork()
    timer.join(5)
    assert not timer.is_alive()
    assert not node.thread.is_running


@pytest.mark.parametrize(("worker_id", "timers"), [(0, 0), (1, 1)])
def test_under_uwsgi_only_a_worker_starts_by_itself(node: Node, monkeypatch: pytest.MonkeyPatch, worker_id: int,
                                                    timers: int) -> None:
    monkeypatch.setattr(daemon, "SETTLE_SECONDS", 30)
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(worker_id=lambda: worker_id))  # type: ignore[arg-type]
    node.thread.start_soon()
    assert len([thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]) == timers
