# SPDX-License-Identifier: Apache-2.0
"""Real processes on one database, killed, stopped and continued; afterwards nothing is lost and nothing doubled.

On an SQLite file by default, with --full on PostgreSQL and MariaDB, and more of it there.
"""
from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from glancesync.db.engine import Database
from glancesync.model.task import Pair, Task, TaskFilter, TaskState, Trigger
from glancesync.tasks.queue import TaskQueue
from tests.fixtures.databases import BACKENDS
from tests.fixtures.polling import eventually
from tests.fixtures.queues import new_pairs, new_queue

ROOT = Path(__file__).parents[2]


class Line(NamedTuple):
    at: float
    pid: int
    word: str
    pair: Pair
    fence: int


class Bench:
    """A database, a queue to ask with, and servers as processes."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self._servers: list[subprocess.Popen[bytes]] = []
        self.killed_at: dict[int, float] = {}
        self._database = Database(self._url)
        self._database.sync()
        self.is_sqlite = self._database.is_sqlite
        self.queue: TaskQueue = new_queue(self._database, "asker")

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"server-{len(self._servers)}.txt").open("wb") as output:
            server = subprocess.Popen(
                [sys.executable, "-m", "tests.probe.queue_server", str(self._folder / "log"), *options],
                cwd=ROOT, env=os.environ | {"DATABASE": self._url}, stdout=output, stderr=subprocess.STDOUT)
        self._servers.append(server)
        return server

    def wait_ready(self, server: subprocess.Popen[bytes]) -> None:
        """Until it takes SIGTERM for more than its end: one that was just started does not yet."""
        def takes_it() -> bool:
            status = Path(f"/proc/{server.pid}/status").read_text()
            caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
            return bool(int(caught, 16) & 1 << signal.SIGTERM - 1)

        eventually(takes_it, 30, what="the server is ready")

    def kill(self, server: subprocess.Popen[bytes]) -> None:
        server.send_signal(signal.SIGKILL)
        server.wait(10)
        self.killed_at[server.pid] = time.monotonic()

    def end(self) -> None:
        for server in self._servers:
            if server.poll() is None:
                self.kill(server)
        self._database.close()

    def lines(self, word: str | None = None) -> list[Line]:
        path = self._folder / "log"
        found = []
        for text in path.read_text().splitlines() if path.exists() else ():
            at, pid, said, image_id, region, fence = text.split()
            found.append(Line(float(at), int(pid), said, Pair(image_id, region), int(fence)))
        return [line for line in found if word in (None, line.word)]

    def submit(self, *pairs: Pair) -> list[Task]:
        return self.queue.submit(pairs, trigger=Trigger.EVENT)

    def wait_until_done(self, count: int, deadline_seconds: float, *, ended: Callable[[], object] = bool) -> None:
        def all_done() -> bool:
            ended()
            counts = self.queue.counts()
            assert counts[TaskState.DONE] == count, counts
            return True

        eventually(all_done, deadline_seconds, every_seconds=0.05)

    def check_history(self) -> None:
        """Each row has seen all that was asked, each start is in the history, once."""
        starts = Counter(line.pair for line in self.lines("start"))
        for task in self.queue.list_tasks(TaskFilter(), 10_000):
            assert (task.state, task.wanted) == (TaskState.DONE, task.seen)
            outcomes = [run.outcome for run in self.queue.list_runs(task.id)]
            assert set(outcomes) <= {"done", "lost"}
            # A run that was lost between its claim and its first line is in the history only.
            assert outcomes.count("done") <= starts[task.pair] <= len(outcomes)

    def check_no_two_at_once(self) -> None:
        """No pair was run by two live processes, nor twice in one, at the same time."""
        for pair, spans in self._spans().items():
            for (_, first_end), (second_start, _) in zip(spans, spans[1:], strict=False):
                assert first_end <= second_start, f"{pair} ran twice at once"

    def check_at_once(self, most: int) -> None:
        """No region ever had more runs at once, in all processes."""
        steps: dict[str, list[tuple[float, int]]] = defaultdict(list)
        for pair, spans in self._spans().items():
            steps[pair.region] += [step for began, ended in spans for step in ((began, 1), (ended, -1))]
        for region, found in steps.items():
            assert max(itertools.accumulate(change for _at, change in sorted(found))) <= most, region

    def _spans(self) -> dict[Pair, list[tuple[float, float]]]:
        """When each pair ran: begin and end, in order."""
        live: dict[Pair, list[tuple[float, float]]] = defaultdict(list)
        open_runs: dict[tuple[int, Pair], float] = {}
        for line in self.lines():
            key = line.pid, line.pair
            if line.word == "start":
                assert key not in open_runs, f"{line} began while it ran"
                open_runs[key] = line.at
            elif line.word != "effect":
                live[line.pair].append((open_runs.pop(key), line.at))
        for (pid, pair), began_at in open_runs.items():
            live[pair].append((began_at, self.killed_at[pid]))
        return {pair: sorted(spans) for pair, spans in live.items()}


def new_chance() -> random.Random:
    """Its seed is printed, so that a failure can be followed."""
    seed = time.time_ns() % 10 ** 6
    print(f"seed {seed}")
    return random.Random(seed)  # noqa: S311 - no secret


@pytest.fixture(params=["sqlite", *(pytest.param(backend, marks=pytest.mark.full) for backend in BACKENDS)])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bench(tmp_path: Path, backend: str, new_database: Callable[[str], str]) -> Iterator[Bench]:
    bench = Bench(tmp_path, f"sqlite:///{tmp_path}/queue.db" if backend == "sqlite" else new_database(backend))
    yield bench
    bench.end()


def test_kill_at_random_moments_loses_and_doubles_nothing(bench: Bench) -> None:
    chance = new_chance()
    pairs = new_pairs(40, "R1", "R2", "R3")
    bench.submit(*pairs)
    for _ in range(6):
        before = len(bench.lines("start"))
        server = bench.start("--lease", "3", "--step-seconds", "0.2")
        eventually(lambda: len(bench.lines("start")) > before, every_seconds=0.01)  # noqa: B023 - used at once
        pause_until = time.monotonic() + chance.uniform(0, 0.8)
        eventually(lambda: time.monotonic() >= pause_until, every_seconds=0.005)  # noqa: B023
        bench.kill(server)
    assert bench.queue.counts()[TaskState.DONE] < len(pairs), "the kills came too late to show anything"
    last = bench.start("--lease", "3", "--step-seconds", "0.01")
    bench.wait_until_done(len(pairs), 60)
    last.terminate()
    assert last.wait(15) == 0
    assert bench.killed_at
    bench.check_history()
    bench.check_no_two_at_once()


def test_a_zombie_is_refused_after_its_lease(bench: Bench) -> None:
    [task] = bench.submit(*new_pairs(1, "R1"))
    zombie = bench.start("--shared", "--lease", "3", "--steps", "1000", "--step-seconds", "0.3")
    eventually(lambda: bench.lines("effect"), every_seconds=0.01)
    zombie.send_signal(signal.SIGSTOP)
    stopped_at = time.monotonic()
    successor = bench.start("--shared", "--lease", "3", "--steps", "3", "--step-seconds", "0.3")
    bench.wait_until_done(1, 30)
    took = next(line.at for line in bench.lines("start") if line.pid == successor.pid) - stopped_at
    assert took < 3 + 5, "the takeover took longer than the lease and 5 s"
    done = bench.queue.get_task(task.id)
    zombie.send_signal(signal.SIGCONT)
    eventually(lambda: [line for line in bench.lines("lease_lost") if line.pid == zombie.pid])
    assert not [line for line in bench.lines("effect") if line.pid == zombie.pid and line.at > stopped_at + 1]
    zombie.terminate()
    assert zombie.wait(15) == 0
    assert bench.queue.get_task(task.id) == done
    assert [run.outcome for run in bench.queue.list_runs(task.id)] == ["done", "lost"]


def test_many_requests_during_a_run_make_at_most_two_more(bench: Bench) -> None:
    [task] = bench.submit(*new_pairs(1, "R1"))
    server = bench.start("--steps", "10", "--step-seconds", "0.2")
    eventually(lambda: bench.lines("start"), every_seconds=0.01)
    for _ in range(100):
        bench.submit(task.pair)
    assert not bench.lines("end"), "the run ended before all was asked"
    bench.wait_until_done(1, 30)
    assert len(bench.lines("start")) == 2
    server.terminate()
    assert server.wait(15) == 0
    bench.check_history()
    bench.check_no_two_at_once()


def test_priority_and_cancellation_act_within_one_claim(bench: Bench) -> None:
    """Two servers, one task at a time in the region: the urgent one is next but for a claim under way, what is
    cancelled never starts, and what is cancelled while it runs ends at its next step."""
    options = ("--shared", "--lease", "3", "--steps", "6", "--step-seconds", "0.2", "--per-region", "1")
    servers = [bench.start(*options) for _ in range(2)]
    waiting = bench.submit(*new_pairs(5, "R1"))
    eventually(lambda: bench.lines("start"), every_seconds=0.01)
    begun = {line.pair for line in bench.lines("start")}
    cancelled = next(task for task in waiting if task.pair not in begun)
    bench.queue.cancel(cancelled.id)
    before = len(bench.lines("start"))
    [urgent] = bench.queue.submit(new_pairs(1, "R1"), trigger=Trigger.API, priority=9)
    eventually(lambda: urgent.pair in {line.pair for line in bench.lines("start")}, every_seconds=0.01)
    assert [line.pair for line in bench.lines("start")].index(urgent.pair) <= before + 1
    bench.queue.cancel(urgent.id)
    eventually(lambda: bench.queue.get_task(urgent.id).state is TaskState.CANCELLED)
    bench.wait_until_done(len(waiting) - 1, 60)
    assert bench.queue.get_task(cancelled.id).state is TaskState.CANCELLED
    assert cancelled.pair not in {line.pair for line in bench.lines("start")}
    assert len([line for line in bench.lines("effect") if line.pair == urgent.pair]) < 6
    for server in servers:
        server.terminate()
    assert [server.wait(15) for server in servers] == [0, 0]
    bench.check_no_two_at_once()
    bench.check_at_once(1)


def test_several_servers_killed_and_restarted(bench: Bench, tell: Callable[[str], None]) -> None:
    """SQLite is not meant for several servers, but its rows keep the same promises; 2,000 tasks on the others."""
    chance = new_chance()
    pairs = new_pairs(70 if bench.is_sqlite else 667, "R1", "R2", "R3")
    most_kills = 5 if bench.is_sqlite else 1000
    options = ("--shared", "--lease", "3", "--step-seconds", "0.3", "--per-region", "12")
    servers = [bench.start(*options) for _ in range(3)]
    next_kill = time.monotonic() + 2
    bench.submit(*pairs)

    def kill_one_now_and_then() -> None:
        nonlocal next_kill
        if time.monotonic() > next_kill and len(bench.killed_at) < most_kills:
            victim = chance.randrange(3)
            bench.kill(servers[victim])
            servers[victim] = bench.start(*options)
            bench.submit(*chance.sample(pairs, 10))
            next_kill = time.monotonic() + 2

    bench.wait_until_done(len(pairs), 240, ended=kill_one_now_and_then)
    assert bench.killed_at
    tell(f"{len(pairs)} tasks through {len(bench.killed_at)} kills")
    for server in servers:
        bench.wait_ready(server)
        server.terminate()
    assert [server.wait(15) for server in servers] == [0, 0, 0]
    bench.check_history()
    bench.check_no_two_at_once()
    bench.check_at_once(12)


def test_a_busy_hub_past_the_lease_runs_once(bench: Bench) -> None:
    """Nobody died: the lease is renewed beside the hub that stands still, and another server finds nothing to take."""
    bench.submit(*new_pairs(1, "R1"))
    options = ("--shared", "--lease", "3", "--busy", "--step-seconds", "9")
    servers = [bench.start(*options)]
    eventually(lambda: bench.lines("start"), every_seconds=0.01)
    servers.append(bench.start(*options))
    bench.wait_until_done(1, 30)
    for server in servers:
        server.terminate()
    assert [server.wait(15) for server in servers] == [0, 0]
    assert [line.word for line in bench.lines()] == ["start", "effect", "end"]
    bench.check_history()


def test_a_second_signal_is_not_needed_to_hand_back(bench: Bench) -> None:
    bench.submit(*new_pairs(3, "R1"))
    server = bench.start("--steps", "1000", "--step-seconds", "0.3")
    eventually(lambda: len(bench.lines("start")) == 3, every_seconds=0.01)
    server.terminate()
    assert server.wait(15) == 0
    assert bench.queue.counts()[TaskState.WAITING] == 3
