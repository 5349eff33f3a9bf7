# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import logging
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from glancesync.clock import ManualClock
from glancesync.exceptions import (
    ConfigurationError,
    ForbiddenError,
    InvalidInputError,
    RegionAnswerError,
    RegionBusyError,
    RegionUnauthorizedError,
    RegionUnavailableError,
)
from glancesync.filter.complaints import Complaints
from glancesync.filter.files import CHECKPOINT, STATUS, list_segments
from glancesync.filter.outbox import Outbox
from glancesync.filter.sender import BACKOFF_LIMIT_SECONDS, BATCH_EVENTS, Pause, Sender
from glancesync.model.event import Operation
from tests.unit.filter.fakes import MIB, FakeClient, event, outbox_at


@dataclass
class Node:
    """One process's outbox and sender; several may share a folder."""

    directory: Path
    client: FakeClient = field(default_factory=FakeClient)
    clock: ManualClock = field(default_factory=ManualClock)
    jitter: float = 0.999
    max_bytes: int = 64 * MIB

    def __post_init__(self) -> None:
        self.outbox: Outbox = outbox_at(self.directory, self.clock, self.max_bytes)
        self.sender = Sender(outbox=self.outbox, connect=lambda: self.client, clock=self.clock,
                             complaints=Complaints(self.clock), jitter=lambda: self.jitter)

    def run_for(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() <= end:
            self.clock.advance(max(0.001, self.sender.run_once().seconds))


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "box")


def test_constructing_opens_nothing_and_connects_to_nobody(tmp_path: Path) -> None:
    def never() -> FakeClient:
        raise AssertionError("connected")

    clock = ManualClock()
    Sender(outbox=outbox_at(tmp_path / "box"), connect=never, clock=clock, complaints=Complaints(clock))
    assert not (tmp_path / "box").exists()


def test_events_arrive_once_in_order_and_the_sender_then_waits_for_the_next(node: Node) -> None:
    for number in range(3):
        node.outbox.append(event(number, name=f"e{number}"))
    assert node.sender.run_once() == Pause(seconds=0.1)
    assert node.sender.run_once() == Pause(seconds=0.1, wakeable=True)
    assert node.client.names == ["e0", "e1", "e2"]
    assert node.client.calls == 1


def test_equal_events_are_merged(node: Node) -> None:
    for number in range(10):
        node.outbox.append(event(1, at=number))
    node.sender.run_once()
    assert [one.at for one in node.client.events] == [9]


def test_a_long_backlog_goes_out_in_batches_without_a_pause(node: Node) -> None:
    for number in range(2 * BATCH_EVENTS + 5):
        node.outbox.append(event(number))
    assert [node.sender.run_once().seconds for _ in range(3)] == [0, 0, 0.1]
    assert [len(batch) for batch in node.client.batches] == [BATCH_EVENTS, BATCH_EVENTS, 5]


@pytest.mark.parametrize("error", [
    RegionUnavailableError("down"), RegionUnauthorizedError("401"), ForbiddenError("403"), RegionAnswerError("garbage"),
    ConfigurationError("no credentials"),
])
def test_nothing_is_lost_while_the_server_does_not_take_it(node: Node, error: Exception) -> None:
    node.outbox.append(event(name="a"))
    node.client.errors = [error] * 5  # type: ignore[list-item]
    node.run_for(1)
    node.outbox.append(event(2, name="b"))
    assert node.client.names == []
    node.run_for(60)
    assert node.client.names == ["a", "b"]
    assert node.outbox.lost_total == 0


def test_attempts_become_rarer_up_to_the_limit_and_prompt_again_after_success(node: Node) -> None:
    node.outbox.append(event())
    node.client.errors = [RegionUnavailableError("down")] * 100
    tried = []
    for _ in range(100_000):
        calls = node.client.calls
        node.clock.advance(node.sender.run_once().seconds)
        if node.client.calls > calls:
            tried.append(node.clock.monotonic())
        if node.client.names:
            break
    gaps = [later - earlier for earlier, later in zip(tried, tried[1:], strict=False)]
    assert gaps[0] < 2
    assert max(gaps) <= BACKOFF_LIMIT_SECONDS + 1
    assert min(gaps[20:-1]) > BACKOFF_LIMIT_SECONDS * 0.9
    node.client.errors = [RegionUnavailableError("down")]
    node.outbox.append(event(2))
    node.run_for(1.5)
    assert len(node.client.events) == 2


def test_jitter_halves_a_delay_at_most(tmp_path: Path) -> None:
    early = Node(tmp_path / "box", jitter=0.0)
    early.outbox.append(event())
    early.client.errors = [RegionUnavailableError("down")]
    assert early.sender.run_once().seconds == 0.25


def test_what_the_server_asks_for_is_respected(node: Node) -> None:
    node.outbox.append(event())
    node.client.errors = [RegionBusyError("busy", retry_after_seconds=40)]
    node.run_for(38)
    assert node.client.calls == 1
    node.run_for(4)
    assert node.client.calls == 2


def test_a_wrong_event_is_dropped_and_everything_looked_at_instead(node: Node) -> None:
    node.client.refuses = lambda one: InvalidInputError("bad") if one.id == "bad" else None
    for name in ("a", "bad", "c"):
        node.outbox.append(event(ord(name[0]), name=name))
    node.run_for(2)
    assert node.client.names[:2] == ["a", "c"]
    assert node.client.operations[2:] == ["all"]
    assert node.sender.counters.refused == 1


def test_damage_is_followed_by_everything_that_is_on_disk_before_the_damage_is_passed(node: Node) -> None:
    node.outbox.append(event(name="a"))
    segment = node.directory / list_segments(node.directory)[0].name
    with segment.open("ab") as stream:
        stream.write(b"\0\0\0\n")
    node.client.errors = [RegionUnavailableError("down")]
    node.sender.run_once()
    assert b'"all"' in segment.read_bytes()
    node.run_for(5)
    assert node.client.names[0] == "a"
    assert set(node.client.operations[1:]) == {"all"}
    assert node.sender.counters.damaged >= 1


def test_one_process_delivers_and_another_takes_over(tmp_path: Path) -> None:
    clock, client = ManualClock(), FakeClient()
    first, second = (Node(tmp_path / "box", client=client, clock=clock) for _ in range(2))
    first.sender.run_once()
    second.outbox.append(event(name="of the second"))
    assert second.sender.run_once() == Pause(seconds=1.0)
    assert not second.sender.leading
    assert client.names == []
    first.sender.run_once()
    assert client.names == ["of the second"]
    first.sender.forget()   # the kernel does this when a process dies
    first.outbox.append(event(2, name="left by the first"))
    second.sender.run_once()
    assert second.sender.leading
    assert client.names == ["of the second", "left by the first"]


def test_what_a_dead_process_left_is_delivered_by_the_next(tmp_path: Path) -> None:
    dead = Node(tmp_path / "box")
    dead.outbox.append(event(name="a"))
    dead.client.errors = [RegionUnavailableError("down")] * 10
    dead.run_for(2)
    dead.sender.forget()
    dead.outbox.forget()
    heir = Node(tmp_path / "box")
    heir.run_for(2)
    assert heir.client.names == ["a"]
    assert list_segments(tmp_path / "box") == []


def test_an_outbox_that_cannot_be_written_at_all_is_told_directly(tmp_path: Path) -> None:
    (tmp_path / "box").write_text("a file stands in the way")
    node = Node(tmp_path / "box")
    assert not node.outbox.append(event())
    node.client.errors = [RegionUnavailableError("down")]
    node.run_for(5)
    assert node.client.operations == ["all"]
    assert node.outbox.lost == 0


def test_a_folder_deleted_while_running_is_looked_at_again(node: Node) -> None:
    node.outbox.append(event())
    node.client.errors = [RegionUnavailableError("down")] * 3
    node.sender.run_once()
    shutil.rmtree(node.directory)
    node.run_for(20)
    assert set(node.client.operations) == {"all"}
    node.outbox.append(event(name="next"))
    node.run_for(1)
    assert node.client.names[-1] == "next"


def test_segments_of_others_deleted_while_running_are_looked_at_again(tmp_path: Path) -> None:
    other = Node(tmp_path / "box")
    other.outbox.append(event())
    other.outbox.forget()
    node = Node(tmp_path / "box")
    node.client.errors = [RegionUnavailableError("down")]
    node.sender.run_once()
    shutil.rmtree(tmp_path / "box")
    node.run_for(5)
    assert set(node.client.operations) == {"all"}


def test_a_checkpoint_that_cannot_be_written_holds_nothing_up(node: Node) -> None:
    node.directory.mkdir(mode=0o700)
    (node.directory / CHECKPOINT).mkdir()
    node.outbox.append(event(name="a"))
    node.run_for(1)
    node.outbox.append(event(2, name="b"))
    node.run_for(1)
    assert node.client.names == ["a", "b"]


def test_a_full_outbox_drains_and_ends_with_everything(tmp_path: Path) -> None:
    node = Node(tmp_path / "box", max_bytes=MIB)
    number = 0
    while node.outbox.append(event(number)):
        number += 1
    for _ in range(1000):
        node.outbox.append(event(number))
    node.run_for(10)
    assert len(node.client.events) >= number
    assert node.client.operations[-1] == "all"
    assert node.outbox.lost == 0
    assert node.outbox.append(event(number + 1))


def test_one_warning_a_minute_and_a_line_when_it_works_again(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="glancesync")
    node.outbox.append(event())
    node.client.errors = [RegionUnavailableError("down")] * 20
    node.run_for(170)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 3
    assert "region_unavailable" in warnings[0].getMessage()
    node.client.errors = []
    node.run_for(40)
    assert "again after" in caplog.records[-1].getMessage()
    assert len(caplog.records) == 4


def test_the_status_file_tells_how_things_stand(node: Node) -> None:
    node.outbox.append(event(1, at=node.clock.now() - 100))
    node.outbox.append(event(2))
    node.client.errors = [RegionUnavailableError("down")]
    node.sender.run_once()
    status = json.loads((node.directory / STATUS).read_text())
    assert (status["depth"], status["last_error"], status["oldest_age_seconds"]) == (2, "region_unavailable", 100)
    assert stat.S_IMODE((node.directory / STATUS).stat().st_mode) == 0o600
    written = (node.directory / STATUS).stat().st_mtime_ns
    node.sender.run_once()
    assert (node.directory / STATUS).stat().st_mtime_ns == written, "every few seconds at most"
    node.run_for(10)
    status = json.loads((node.directory / STATUS).read_text())
    assert (status["depth"], status["delivered"], status["oldest_age_seconds"]) == (0, 2, None)


def test_a_forked_child_connects_anew_and_leaves_the_parents_turn_alone(tmp_path: Path) -> None:
    clock = ManualClock()
    connections: list[FakeClient] = []

    def connect() -> FakeClient:
        connections.append(FakeClient())
        return connections[-1]

    outbox = outbox_at(tmp_path / "box", clock)
    sender = Sender(outbox=outbox, connect=connect, clock=clock, complaints=Complaints(clock))
    outbox.append(event(1))
    sender.run_once()
    sender.forget()
    outbox.append(event(2, Operation.REMOVE))
    sender.run_once()
    assert [client.operations for client in connections] == [["save"], ["remove"]]


def test_the_metrics_file_tells_how_things_stand(tmp_path: Path, node: Node) -> None:
    path = tmp_path / "glance-sync.prom"
    node.sender = Sender(outbox=node.outbox, connect=lambda: node.client, clock=node.clock,
                         complaints=Complaints(node.clock), metrics_file=path)
    node.outbox.append(event(1))
    node.run_for(6)
    assert "\nglance_sync_outbox_delivered_total 1\n" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o644
    assert {each.name for each in tmp_path.iterdir()} == {"box", "glance-sync.prom"}


def test_a_metrics_file_that_cannot_be_written_stops_nothing(tmp_path: Path, node: Node) -> None:
    node.sender = Sender(outbox=node.outbox, connect=lambda: node.client, clock=node.clock,
                         complaints=Complaints(node.clock), metrics_file=tmp_path / "nowhere" / "x.prom")
    node.outbox.append(event(1))
    node.run_for(6)
    assert node.sender.counters.delivered == 1
