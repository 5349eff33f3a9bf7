# SPDX-License-Identifier: Apache-2.0
"""A server of several processes (workers = N), as real processes over a cloud that only answers: they share one socket
and one queue, are killed, restarted and stopped under load, and nothing is lost or done twice."""
from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.daemon import Daemon, SystemdSocket
from tests.fixtures.databases import BACKENDS
from tests.fixtures.fake_cloud import FakeCloud, image_ids
from tests.fixtures.next_version import bring_to_next
from tests.fixtures.polling import eventually
from tests.fixtures.several import Several, child_pids, children_of, is_gone, refused

StartCloud = Callable[..., FakeCloud]


@pytest.fixture
def start_cloud(tmp_path: Path) -> Iterator[StartCloud]:
    started: list[FakeCloud] = []

    def start(**options: float) -> FakeCloud:
        started.append(FakeCloud(tmp_path, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for cloud in started:
        cloud.stop()


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., Several]]:
    made: list[Several] = []

    def new(cloud: FakeCloud, **options: object) -> Several:
        made.append(Several(tmp_path, cloud, **{"workers": 3, **options}))  # type: ignore[arg-type]
        return made[-1]

    yield new
    for each in made:
        each.end()


def uploaded(cloud: FakeCloud) -> Counter[tuple[str, str]]:
    return Counter((each.region, each.image_id) for each in cloud.uploads("end"))


def every_pair(cloud: FakeCloud, images: int) -> set[tuple[str, str]]:
    return {(region, image_id) for region in cloud.names for image_id in image_ids(images)}


def all_rest(server: Several, tasks: int) -> bool:
    """Every task saw all that was asked, and is done."""
    found = server.call("GET", "/v1/tasks?limit=1000")["tasks"]
    assert (len(found), {task["state"] for task in found}) == (tasks, {"done"})
    return True


def metric(server: Several, name: str) -> float:
    families = text_string_to_metric_families(server.call("GET", "/metrics"))
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def pids_that_ran(daemon: Daemon) -> set[int]:
    return {int(line.split()[2]) for line in daemon.lines("glancesync.tasks.runner", "done, in_sync")}


def test_killed_and_restarted_in_turn_under_load(start_cloud: StartCloud, new_server: Callable[..., Several]) -> None:
    """kill -9 of one, SIGTERM of each in turn: every image reaches every region, each byte stream ends once."""
    cloud = start_cloud(regions=4, images=40, seconds=0.3)
    server = new_server(cloud)
    daemon = server.start()
    before = child_pids(daemon, 3)
    eventually(lambda: pids_that_ran(daemon) >= set(before), 30, what="every process works")
    os.kill(before[1], signal.SIGKILL)
    daemon.wait_for(f"(pid {before[1]}) was ended by SIGKILL, another one starts in 1 s")
    for pid in (before[0], before[2]):
        os.kill(pid, signal.SIGTERM)
        daemon.wait_for(f"(pid {pid}) ended with exit status 0, another one starts in 0 s")
        assert server.call("GET", "/v1/tasks?limit=1")["tasks"]
    after = child_pids(daemon, 3)
    assert not set(before) & set(after)
    eventually(lambda: all_rest(server, 160), 60)
    cloud.check_no_two_at_once()
    assert uploaded(cloud) == Counter(every_pair(cloud, 40))
    # What the killed one counted stays counted; what ran in it does not.
    assert metric(server, "glance_sync_copies_total") >= 160 - 12
    eventually(lambda: metric(server, "glance_sync_running_tasks") == 0, 15)
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.log
    assert all(is_gone(pid) for pid in after)


def test_a_stop_while_the_first_process_is_loaded(start_cloud: StartCloud, new_server: Callable[..., Several]) -> None:
    """It cannot heed signals yet, so it dies of this one: a stop all the same, and no failure."""
    server = new_server(start_cloud(regions=1, images=0))
    daemon = server.start(wait=False)
    daemon.wait_for("process 0 is started")
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.log


@pytest.mark.full
@pytest.mark.parametrize("second_signal", [False, True], ids=["graceful", "at once"])
def test_a_stop_under_load(start_cloud: StartCloud, new_server: Callable[..., Several], second_signal: bool) -> None:
    """All processes drain together; a second signal has them hand back at once. The next start finds the rest."""
    cloud = start_cloud(regions=3, images=9, seconds=4 if second_signal else 1)
    server = new_server(cloud, options={"worker": {"max_tasks": 4}})  # a third of what the regions bear
    daemon = server.start()
    eventually(lambda: len(cloud.uploads("begin")) >= 12, 30)
    daemon.send(signal.SIGTERM)
    eventually(lambda: len(daemon.lines("stopping: nothing new is started")) == 3, 10)
    if second_signal:
        daemon.send(signal.SIGTERM)
    assert daemon.ended(8 if second_signal else 30) == 0
    handed_back = daemon.lines("handed back to the queue")
    assert bool(handed_back) is second_signal, daemon.log
    assert refused(server.port)
    assert not list(server.folder.glob("sync.db-*")), "the database was not closed"
    begun = len(cloud.uploads("begin"))
    eventually(lambda: len(cloud.uploads("end")) + len(cloud.uploads("broken")) == begun, 15)
    again = server.start()
    eventually(lambda: all_rest(server, 27), 90)
    cloud.check_no_two_at_once()
    assert uploaded(cloud) == Counter(every_pair(cloud, 9))
    assert again.stop() == 0


@pytest.mark.full
def test_without_their_parent_they_end(start_cloud: StartCloud, new_server: Callable[..., Several]) -> None:
    """kill -9 of the process that started them: they hand back and end, so that the next server has the database."""
    cloud = start_cloud(regions=2, images=20, seconds=1)
    server = new_server(cloud, workers=2)
    daemon = server.start()
    pids = child_pids(daemon, 2)
    eventually(lambda: len(cloud.uploads("begin")) >= 4, 30)
    daemon.send(signal.SIGKILL)
    eventually(lambda: all(map(is_gone, pids)), 10)
    assert len(daemon.lines("the process that started it is gone")) == 2
    server.start()
    eventually(lambda: all_rest(server, 40), 60)
    cloud.check_no_two_at_once()
    assert uploaded(cloud) == Counter(every_pair(cloud, 20))


@pytest.mark.full
def test_servers_restarted_in_turn_under_load(start_cloud: StartCloud, new_server: Callable[..., Several],
                                              new_database: Callable[[str], str]) -> None:
    """Two servers of two processes on one PostgreSQL: each is stopped and started while the other works."""
    cloud = start_cloud(regions=4, images=120, seconds=1)
    url, options = new_database("postgresql"), {"worker": {"max_tasks_per_region": 2}}
    servers = [new_server(cloud, workers=2, url=url, options=options) for _ in range(2)]
    daemons = [server.start() for server in servers]
    for turn in range(4):
        which = turn % 2
        eventually(lambda: len(pids_that_ran(daemons[which])) == 2, 30)  # noqa: B023 - used at once
        assert daemons[which].stop() == 0
        assert not daemons[which].lines("lease_lost"), "another server's start took what this one ran"
        daemons[which] = servers[which].start()
        assert len(cloud.uploads("end")) < 480, "the restarts came too late to show anything"
    eventually(lambda: all_rest(servers[0], 480), 90)
    cloud.check_no_two_at_once()
    assert uploaded(cloud) == Counter(every_pair(cloud, 120))
    assert [daemon.stop() for daemon in daemons] == [0, 0]


@pytest.mark.full
@pytest.mark.parametrize("backend", ["sqlite", *BACKENDS])
def test_on_tables_of_the_next_version(start_cloud: StartCloud, new_server: Callable[..., Several], tmp_path: Path,
                                       request: pytest.FixtureRequest, backend: str) -> None:
    """The next version's `db sync` runs under the feet of a server at work; its processes, and it as a whole, are
    started again on the newer tables; all goes on as before."""
    cloud = start_cloud(regions=2, images=40, seconds=0.5)
    url = None if backend == "sqlite" else request.getfixturevalue("new_database")(backend)
    server = new_server(cloud, workers=2, url=url, options={"worker": {"max_tasks_per_region": 4}})
    daemon = server.start()
    eventually(lambda: len(cloud.uploads("begin")) >= 8, 30)
    bring_to_next(server.url, tmp_path)
    before = child_pids(daemon, 2)
    os.kill(before[1], signal.SIGTERM)
    daemon.wait_for(f"(pid {before[1]}) ended with exit status 0")
    [new] = set(child_pids(daemon, 2)) - set(before)
    daemon.wait_for(f" {new} ", "process 1 answers on")
    assert len(cloud.uploads("end")) < 80, "the tables changed too late to show anything"
    assert daemon.stop() == 0
    server.start()
    eventually(lambda: all_rest(server, 80), 60)
    cloud.check_no_two_at_once()
    assert uploaded(cloud) == Counter(every_pair(cloud, 40))
    assert not any(daemon.lines("Traceback") for daemon in server.daemons)


@pytest.mark.full
def test_what_systemd_hears_of_several(start_cloud: StartCloud, new_server: Callable[..., Several]) -> None:
    """One word for all: ready when all are, reloaded when all have, alive only while every hub turns."""
    cloud = start_cloud(regions=1, images=1)
    server = new_server(cloud)
    systemd = SystemdSocket(str(server.folder / "notify"))
    try:
        daemon = server.start(NOTIFY_SOCKET=systemd.name, WATCHDOG_USEC="3000000")
        systemd.wait_for("READY=1")
        systemd.wait_for("STATUS=3 of 3 processes serve on 127.0.0.1:")
        assert len(daemon.lines("answers on")) == 3
        pids = child_pids(daemon, 3)
        seen = len(systemd.heard())
        daemon.send(signal.SIGHUP)
        systemd.wait_for("READY=1", after=seen)
        assert len(daemon.lines("the configuration was reloaded")) == 3
        eventually(lambda: systemd.heard()[seen:].count("WATCHDOG=1") >= 3, 20)
        os.kill(pids[2], signal.SIGSTOP)
        eventually(lambda: _quiet_for(systemd, 3), 30)
        os.kill(pids[2], signal.SIGCONT)
        seen = len(systemd.heard())
        systemd.wait_for("WATCHDOG=1", after=seen)
        os.kill(pids[1], signal.SIGKILL)
        systemd.wait_for("STATUS=2 of 3 processes serve", after=seen)
        systemd.wait_for("STATUS=3 of 3 processes serve", after=seen)
        assert daemon.stop() == 0
        systemd.wait_for("STOPPING=1", after=seen)
    finally:
        systemd.close()


def _quiet_for(systemd: SystemdSocket, seconds: float) -> bool:
    """Whether nothing is heard for so long."""
    before = len(systemd.heard())
    try:
        eventually(lambda: len(systemd.heard()) > before, seconds)
    except AssertionError:
        return True
    return False


@pytest.mark.full
def test_what_only_one_may_take_is_taken_once(start_cloud: StartCloud, new_server: Callable[..., Several]) -> None:
    cloud = start_cloud(regions=1, images=1)
    server = new_server(cloud, workers=2)
    first = server.start()
    second = server.start(wait=False)
    assert second.ended(20) == 1
    assert "another glance-sync works with the database" in second.log
    assert children_of(first.process.pid)
    assert first.stop() == 0


@pytest.mark.full
def test_what_a_process_finds_wrong_ends_the_start(start_cloud: StartCloud, new_server: Callable[..., Several]) -> None:
    """What only a whole server sees refuses the start with the status that systemd does not repeat."""
    server = new_server(start_cloud(regions=1, images=1), options={"DEFAULT": {"api_paste_config": "/nowhere"}})
    daemon = server.start(wait=False)
    assert daemon.ended(30) == 2
    assert daemon.lines("process 0", "ended with exit status 2 before it served")
