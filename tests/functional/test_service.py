# SPDX-License-Identifier: Apache-2.0
"""A service of the lab as processes, on a small real one: found again, ended whole, never mistaken for a stranger."""
from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from glancesync.lab import ports, process
from glancesync.lab.errors import LabError
from glancesync.lab.service import Service, answers
from tests.fixtures.polling import eventually

# A master that leaves the serving to a child, as gunicorn does.
PROGRAM = """
import http.server, os, pathlib, sys, time
print("starting", flush=True)
if sys.argv[2] == "broken":
    sys.exit("no such option: frobnicate")
pathlib.Path("child").write_text(str(child)) if (child := os.fork()) else None
if child:
    os.waitpid(child, 0)
else:
    os.chdir("served")
    handler = http.server.SimpleHTTPRequestHandler
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler).serve_forever()
"""


class Web(Service):
    def __init__(self, directory: Path, port: int, *, mode: str = "fine") -> None:
        super().__init__(name="web", directory=directory)
        self._port = port
        self._mode = mode

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def files(self) -> Mapping[Path, str]:
        return {self.directory / "program.py": PROGRAM, self.directory / "served" / "index.html": "hello"}

    def prepare(self) -> None:
        self.run([sys.executable, "-c", "open('made', 'x')"])

    def arguments(self) -> Sequence[str]:
        return [sys.executable, "program.py", str(self._port), self._mode]

    def environment(self) -> Mapping[str, str]:
        return {}

    def is_ready(self) -> bool:
        return answers(self.url)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    service = Web(tmp_path / "web", ports.find_free_port(()))
    service.configure()
    service.start()
    service.wait_ready(10)
    yield service
    service.kill()


def test_another_handle_sees_and_ends_it(web: Web) -> None:
    other = Web(web.directory, 0)
    assert other.pid == web.pid
    other.stop()
    assert not web.is_alive
    assert not web.is_ready()
    other.stop()


def test_kill_ends_master_and_worker(web: Web) -> None:
    child = int((web.directory / "child").read_text())
    assert os.getpgid(child) == web.pid
    web.kill()
    assert web.pid is None
    assert not web.is_ready()


def test_orphans_of_a_dead_master_are_ended_before_a_new_start(web: Web) -> None:
    first = web.pid
    assert first
    os.kill(first, signal.SIGKILL)
    eventually(lambda: not web.is_alive, 5)
    assert web.is_ready(), "the worker was to outlive its master"
    web.start()
    web.wait_ready(10)
    assert web.pid not in (None, first)
    web.stop()
    assert not web.is_ready()


def test_start_of_a_running_service_changes_nothing(web: Web) -> None:
    before = web.pid
    web.start()
    assert web.pid == before


def test_stopped_by_a_signal_and_continued(web: Web) -> None:
    web.kill(signal.SIGSTOP)
    assert web.is_alive
    assert not answers(web.url, 0.3)
    web.kill(signal.SIGCONT)
    web.wait_ready(5)


def test_a_stranger_with_the_remembered_pid_is_not_touched(web: Web) -> None:
    record_path = web.directory / "process.json"
    record = json.loads(record_path.read_text())
    record_path.write_text(json.dumps(record | {"started": record["started"] - 1}))
    other = Web(web.directory, 0)
    assert other.pid is None
    stranger = process.ProcessGroup(**record | {"started": record["started"] - 1, "directory": "/elsewhere"})
    assert process.list_members(stranger) == []
    process.send(stranger, signal.SIGKILL)
    assert web.is_ready()
    record_path.write_text(json.dumps(record))


def test_failed_start_tells_service_log_and_its_end(tmp_path: Path) -> None:
    service = Web(tmp_path / "web", ports.find_free_port(()), mode="broken")
    service.configure()
    service.start()
    with pytest.raises(LabError) as caught:
        service.wait_ready(10)
    assert "web ended" in str(caught.value)
    assert str(service.log_path) in str(caught.value)
    assert "no such option: frobnicate" in str(caught.value)


def test_no_answer_within_the_deadline(web: Web) -> None:
    web.kill(signal.SIGSTOP)
    with pytest.raises(LabError, match="gave no answer within 0.2 s"):
        web.wait_ready(0.2)


def test_preparation_runs_once_and_its_failure_is_told(web: Web) -> None:
    web.prepare_once()
    web.prepare_once()
    with pytest.raises(LabError, match="FileExistsError"):
        web.prepare()


def test_a_listening_port_is_not_free(web: Web) -> None:
    port = int(web.url.rpartition(":")[2].rstrip("/"))
    assert not ports.is_free(port)
    web.kill()
    assert ports.is_free(port)
