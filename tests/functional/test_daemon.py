# SPDX-License-Identifier: Apache-2.0
"""The server process among its signals, on the real cloud: stop, stop at once, reload, what systemd and the log get."""
from __future__ import annotations

import re
import secrets
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.files import write_private
from tests.fixtures.cloud import SERVER_OPTIONS
from tests.fixtures.daemon import Daemon, SystemdSocket
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MIB, MainJob, counterparts
from tests.fixtures.polling import eventually

pytestmark = pytest.mark.lab
LARGE = 192 * MIB
OUTCOME = re.compile(r"INFO glancesync\.tasks\.runner \[[^]]*\] task (\S+) image (\S+) region (\S+) request (\S+): "
                     r"(done|waiting), [a-z_]+ \(.+\) in [0-9.]+ s, (\d+) bytes$")


class Life:
    """The lab's server as one process after another, on its own configuration and database."""

    def __init__(self, lab: Lab, folder: Path, systemd: SystemdSocket) -> None:
        self.systemd = systemd
        self._lab = lab
        self._folder = folder
        self._daemons: list[Daemon] = []
        self.conf_path = folder / "glance-sync.conf"

    def configure(self, changes: Mapping[str, Mapping[str, object]] | None = None) -> None:
        """The default level of the log, and `changes` over the lab's options."""
        sections: dict[str, dict[str, object]] = {}
        for options in (SERVER_OPTIONS, {"DEFAULT": {"debug": False}}, changes or {}):
            for section, each in options.items():
                sections[section] = {**sections.get(section, {}), **each}
        own, self._lab.server.overrides = self._lab.server.overrides, sections
        write_private(self.conf_path, self._lab.server.files()[self._lab.server.conf_path])
        self._lab.server.overrides = own

    def start(self, *, wait: bool = True, **variables: str) -> Daemon:
        log_path = self._folder / f"log-{len(self._daemons)}"
        daemon = Daemon(self.conf_path, log_path, {"NOTIFY_SOCKET": self.systemd.name, **variables})
        self._daemons.append(daemon)
        if wait:
            daemon.wait_for("serves on")
        return daemon

    def end(self) -> None:
        for daemon in self._daemons:
            daemon.kill()


@pytest.fixture
def life(job: MainJob, lab: Lab, tmp_path: Path) -> Iterator[Life]:
    """The server of the lab stands still meanwhile and is started again."""
    job.converge()
    lab.server.stop()
    systemd = SystemdSocket(str(tmp_path / "notify"))
    life = Life(lab, tmp_path, systemd)
    life.configure()
    yield life
    life.end()
    systemd.close()
    lab.server.bring_up()


def upload(images: ImagesOf, size: int) -> str:
    ours = images("demo")
    image_id = str(ours.create("large")["id"])
    ours.upload(image_id, (secrets.token_bytes(1024) + bytes(MIB - 1024) for _ in range(size // MIB)))
    return image_id


def nobody_sees_half(job: MainJob, images: ImagesOf, image_id: str) -> bool:
    return not any(record and record["status"] == "active"
                   for record in counterparts(job.lab, images, image_id).values())


@pytest.mark.parametrize("second_signal", [pytest.param(False, marks=pytest.mark.full), True],
                         ids=["graceful", "at once"])
def test_a_stop_in_the_middle_of_a_copy(life: Life, job: MainJob, images: ImagesOf, second_signal: bool) -> None:
    """What does not end in time is handed back; nobody sees half an image; the next start takes it up."""
    life.configure({"DEFAULT": {"graceful_shutdown_seconds": 60 if second_signal else 0}})
    daemon = life.start()
    image_id = upload(images, LARGE)
    job.wait_stored("RegionTwo", image_id, LARGE // 8)
    daemon.send(signal.SIGTERM)
    if second_signal:
        daemon.wait_for("stopping: nothing new is started, what runs may take 60 s more")
        daemon.send(signal.SIGTERM)
    assert daemon.ended(30) == 0
    handed_back = [line for line in daemon.lines("handed back to the queue") if image_id in line]
    assert handed_back, daemon.log
    assert nobody_sees_half(job, images, image_id)
    assert daemon.lines("INFO glancesync.cmd.life", "stopped")
    assert "Traceback" not in daemon.log
    assert not list(job.lab.server.directory.glob("glance-sync.db-*")), "the database was not closed"
    life.configure()
    again = life.start()
    views = job.wait_for(image_id, deadline_seconds=120)
    assert {(view["replica_id"], view["id_reason"]) for view in views.values()} == {(image_id, None)}
    job.converge()
    assert again.stop() == 0


@pytest.mark.full
def test_a_stop_gives_what_runs_its_time(life: Life, job: MainJob, images: ImagesOf) -> None:
    life.configure({"DEFAULT": {"graceful_shutdown_seconds": 120}})
    daemon = life.start()
    image_id = upload(images, LARGE)
    job.wait_stored("RegionTwo", image_id, LARGE // 8)
    daemon.send(signal.SIGTERM)
    daemon.wait_for("stopping: nothing new is started")
    late = images("demo").create("too late", secrets.token_bytes(1000))["id"]
    assert daemon.ended(120) == 0
    assert daemon.lines(image_id, "region RegionTwo", "done, in_sync")
    assert not daemon.lines("handed back")
    assert not daemon.lines("task ", late), "something was claimed after the signal"
    life.configure()
    life.start()
    for each in (image_id, late):
        job.wait_for(each)
    job.converge()


@pytest.mark.full
def test_what_systemd_hears(life: Life, job: MainJob) -> None:
    daemon = life.start(WATCHDOG_USEC="900000")
    systemd = life.systemd
    systemd.wait_for("READY=1")
    assert systemd.wait_for("STATUS=serves on 127.0.0.1:").endswith("2 cascaded regions, 0 tasks run")
    seen = len(systemd.heard())
    eventually(lambda: systemd.heard()[seen:].count("WATCHDOG=1") >= 3, 20)
    seen = len(systemd.heard())
    daemon.send(signal.SIGHUP)
    systemd.wait_for("RELOADING=1", after=seen)
    systemd.wait_for("MONOTONIC_USEC=", after=seen)
    systemd.wait_for("READY=1", after=seen)
    assert daemon.stop() == 0
    systemd.wait_for("STOPPING=1", after=seen)
    heard = systemd.heard()[seen:]
    assert heard.index("RELOADING=1") < heard.index("READY=1") < heard.index("STOPPING=1")


@pytest.mark.full
def test_a_reload_takes_effect_and_a_broken_one_does_not(life: Life, job: MainJob, images: ImagesOf) -> None:
    daemon = life.start()
    image_id = images("demo").create("seen in the log", secrets.token_bytes(1000))["id"]
    job.wait_for(image_id)
    assert not daemon.lines("DEBUG")
    life.configure({"DEFAULT": {"debug": True, "sync_strategy": "None"}, "worker": {"max_tasks": 3},
                    "api": {"max_page_size": 5}})
    daemon.send(signal.SIGHUP)
    daemon.wait_for("the configuration was reloaded: 3 options changed, 1 need a restart")
    assert daemon.lines("reloaded: [worker] max_tasks = 3 (it was 16)")
    assert daemon.lines("WARNING", "not reloaded, needs a restart: [api] max_page_size = 5 (it was 1000)")
    daemon.wait_for("DEBUG")
    other = images("demo").create("belongs nowhere", secrets.token_bytes(1000))["id"]
    eventually(lambda: job.find(other) is not None or daemon.lines("/v1/events", "202"), 20)
    assert not any(counterparts(job.lab, images, other).values())

    write_private(life.conf_path, life.conf_path.read_text().replace("max_tasks = 3", "max_tasks = three"))
    daemon.send(signal.SIGHUP)
    line = daemon.wait_for("the configuration was not reloaded")
    assert line.endswith(f"all of the old one stays in force: {life.conf_path}: max_tasks = three in [worker] is "
                         "wrong, allowed is a whole number from 1 to 1000")
    life.configure()
    daemon.send(signal.SIGHUP)
    daemon.wait_for("reloaded: [DEFAULT] sync_strategy = ALL (it was None)")
    job.wait_for(other)
    job.converge()


@pytest.mark.full
def test_one_line_for_each_outcome(life: Life, job: MainJob, images: ImagesOf) -> None:
    """At the default level, with the ids of task, image, region and the request that caused it; nothing beside it."""
    daemon = life.start()
    daemon.wait_for("the comparison took")
    before = len(daemon.log.splitlines())
    image_id = images("demo").create("one line", secrets.token_bytes(5000))["id"]
    job.wait_for(image_id)
    tasks = job.tasks(image_id)
    eventually(lambda: len(daemon.lines(image_id, "done, in_sync")) >= len(job.regions), 10)
    assert daemon.stop() == 0
    about = [line for line in daemon.log.splitlines()[before:] if image_id in line]
    told = [OUTCOME.search(line) for line in about]
    assert all(told), about
    copied = [found.groups() for found in told if found and found[6] == "5000"]
    assert sorted((task, region) for task, _image, region, *_rest in copied) == sorted(
        (task["id"], region) for region, task in tasks.items())
    assert all(request.startswith("req-") for _task, _image, _region, request, *_rest in copied)
    loggers = {line.split()[4] for line in daemon.log.splitlines()}
    assert {name.partition(".")[0] for name in loggers} == {"glancesync"}, daemon.log
