# SPDX-License-Identifier: Apache-2.0
"""One service of the lab: its files, its preparation, its group of processes. The base of Keystone, Glance and so on.

Used by `cloud` to bring things up, by tests and the demo to break them: `.pid`, `.kill()`, `.stop()`, `.start()`,
`.wait_ready()`, `.log_path`.
"""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import requests

from glancesync.lab import process
from glancesync.lab.errors import LabError
from glancesync.lab.files import last_lines, write_changed, write_private

READY_SECONDS = 60.0
PREPARE_SECONDS = 120.0
POLL_SECONDS = 0.05


class Service(ABC):
    """A daemon that outlives the process which started it. All of its files lie in `directory`.

    A handle holds no state that another handle of the same directory would not see.
    """

    def __init__(self, *, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.log_path = directory / "service.log"
        self._record_path = directory / "process.json"
        self._popen: subprocess.Popen[bytes] | None = None

    # What each service says of itself.

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is reached."""

    @abstractmethod
    def files(self) -> Mapping[Path, str]:
        """Configuration files by path; a change of one restarts the service at the next `up`."""

    @abstractmethod
    def prepare(self) -> None:
        """Databases, keys, folders: run once in the life of the lab, with the files in place."""

    @abstractmethod
    def arguments(self) -> Sequence[str]:
        """The command; it must stay in the foreground. Secrets never stand in it."""

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """Variables that the command needs beyond `base_environment`."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers now."""

    # What all of them share.

    def configure(self) -> bool:
        """Write the files that changed; True when any did."""
        return write_changed(self.files())

    def prepare_once(self) -> None:
        done = self.directory / "prepared"
        if not done.exists():
            self.prepare()
            write_private(done, "")

    @property
    def pid(self) -> int | None:
        """Pid of the leader of its process group, None when it does not run."""
        group = self._find_group()
        return group.pid if group and process.is_leader_alive(group) else None

    @property
    def is_alive(self) -> bool:
        return self.pid is not None

    @property
    def exit_status(self) -> int | None:
        """How the process ended that this handle started last, negative for a signal; None while it runs, and where
        another handle started it."""
        return self._popen.poll() if self._popen is not None else None

    def start(self) -> None:
        """Start it unless it runs; returns at once (see `wait_ready`). Orphans of an earlier run are ended first."""
        if self.is_alive:
            return
        self.kill()
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        environment = base_environment() | dict(self.environment())
        with self.log_path.open("ab") as log:
            self._popen = subprocess.Popen(list(self.arguments()), cwd=self.directory, env=environment,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                           start_new_session=True)
        group = process.group_of(self._popen.pid, str(self.directory))
        if group is None:
            raise self._error("ended at once")
        write_private(self._record_path, json.dumps(asdict(group)))

    def wait_ready(self, deadline_seconds: float = READY_SECONDS) -> None:
        """Return when it answers; raises LabError with the end of its log when it died or the time is over."""
        end = time.monotonic() + deadline_seconds
        while not self.is_ready():
            if not self.is_alive:
                raise self._error("ended while it started")
            if time.monotonic() > end:
                raise self._error(f"gave no answer within {deadline_seconds:g} s")
            time.sleep(POLL_SECONDS)

    def stop(self, deadline_seconds: float = 20) -> None:
        """SIGTERM, then SIGKILL to what is left after the deadline; returns when all of its processes are gone."""
        group = self._find_group()
        if group is None:
            return
        process.send(group, signal.SIGTERM)
        process.send(group, signal.SIGCONT)
        if not self._wait_gone(group, deadline_seconds):
            self.kill()

    def kill(self, signum: signal.Signals = signal.SIGKILL) -> None:
        """Signal all of its processes (master and workers). After SIGKILL, returns when they are gone."""
        group = self._find_group()
        if group is None:
            return
        process.send(group, signum)
        if signum == signal.SIGKILL and not self._wait_gone(group, 10):
            raise self._error(f"lives on after SIGKILL (processes {process.list_members(group)})")

    def run(self, arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        """Run one command of its preparation to its end; its output goes to the log. Raises LabError."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        environment = base_environment() | dict(self.environment()) | dict(variables or {})
        try:
            with self.log_path.open("ab") as log:
                subprocess.run(list(arguments), cwd=self.directory, env=environment, stdin=subprocess.DEVNULL,
                               stdout=log, stderr=subprocess.STDOUT, check=True, timeout=PREPARE_SECONDS)
        except (subprocess.SubprocessError, OSError) as error:
            reason = f"failed in `{' '.join(map(str, arguments))}` ({type(error).__name__})"
            raise self._error(reason) from error

    def _find_group(self) -> process.ProcessGroup | None:
        if self._popen is not None:
            self._popen.poll()  # reaps it when it ended
        try:
            return process.ProcessGroup(**json.loads(self._record_path.read_text("utf-8")))
        except FileNotFoundError:
            return None

    def _wait_gone(self, group: process.ProcessGroup, deadline_seconds: float) -> bool:
        end = time.monotonic() + deadline_seconds
        while process.list_members(group):
            if time.monotonic() > end:
                return False
            time.sleep(POLL_SECONDS)
        self._find_group()
        return True

    def _error(self, what: str) -> LabError:
        return LabError(f"{self.name} {what}. The end of its log {self.log_path}:\n{last_lines(self.log_path)}")


def base_environment() -> dict[str, str]:
    """The caller's environment without what would lead a service elsewhere: OS_ variables and proxies."""
    keep = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
    inherited = {name: os.environ[name] for name in keep if name in os.environ}
    return inherited | {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore", "no_proxy": "*"}


def program(name: str, python: Path | None = None) -> str:
    """Path of a console script beside `python` (this one by default); raises LabError when it is not installed."""
    path = (python or Path(sys.executable)).with_name(name)
    if not path.exists():
        raise LabError(f"{path} is missing: install the extra with `pip install 'glancesync[lab]'`")
    return str(path)


def answers(url: str, timeout_seconds: float = 2) -> bool:
    """Whether a GET gives 200. The environment's proxies are not asked."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(url, timeout=timeout_seconds).status_code == requests.codes.ok
        except requests.RequestException:
            return False
