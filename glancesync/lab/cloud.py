# SPDX-License-Identifier: Apache-2.0
"""`Lab`: the whole cloud. Used by the command, the demo and the tests."""
from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keystoneauth1.session import Session

from glancesync.lab import ports
from glancesync.lab.credentials import write_credentials
from glancesync.lab.database import NAME as MARIADB
from glancesync.lab.database import Mariadb
from glancesync.lab.errors import LabError
from glancesync.lab.glance import Glance, glance_python
from glancesync.lab.identity import Identity, new_session
from glancesync.lab.keystone import Keystone
from glancesync.lab.server import SyncServer
from glancesync.lab.service import Service, base_environment
from glancesync.lab.state import LabOptions, LabState, find_state, plan_state


@dataclass(frozen=True, kw_only=True)
class ServiceStatus:
    name: str
    pid: int | None
    ready: bool
    url: str
    log_path: Path


def default_directory() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "glancesync-lab"


class Lab:
    """The cloud in one directory. A constructor starts nothing; `up` makes it stand, `down` leaves nothing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        state = find_state(self.directory)
        if state is not None:
            self._adopt(state)

    def up(self, options: LabOptions | None = None, *, with_server: bool = True) -> None:
        """Bring everything up that does not stand; without options, as it was (or as by default).

        Raises LabError that names the service, its log and the end of it.
        """
        with self._locked():
            found = find_state(self.directory)
            options = options or (found.options if found else LabOptions())
            _check_glance(options)
            state = plan_state(self.directory, found, options)
            self._adopt(state)
            self._leave_taken_ports()
            state.save()
            self._start_cloud()
            if with_server:
                for server in self.servers:
                    server.bring_up()

    def down(self, *, keep: bool = False) -> None:
        """End every process by its own pid and remove the directory; with `keep` end them gently and keep it."""
        if not self.exists:
            return
        with self._locked():
            clients = [service for service in self.services if service is not self.mariadb]
            _in_parallel([client.stop if keep else client.kill for client in clients])
            if self.mariadb:
                self.mariadb.stop()
        if not keep:
            shutil.rmtree(self.directory)

    def revive(self) -> None:
        """Continue what was stopped by a signal and start what died, but for the sync servers; wait for all of it."""
        others = [service for service in self.services if service not in self.servers]
        for service in others:
            service.kill(signal.SIGCONT)
            service.start()
        for service in others:
            service.wait_ready()

    @property
    def exists(self) -> bool:
        return find_state(self.directory) is not None

    def status(self) -> list[ServiceStatus]:
        """Every service, asked now; empty when there is no lab."""
        if not self.exists:
            return []
        return [ServiceStatus(name=service.name, pid=service.pid, ready=service.is_alive and service.is_ready(),
                              url=service.url, log_path=service.log_path) for service in self.services]

    @property
    def regions(self) -> tuple[str, ...]:
        return self.state.regions

    @property
    def cascading_region(self) -> str:
        return self.state.cascading_region

    @property
    def cascaded_regions(self) -> tuple[str, ...]:
        return self.state.regions[1:]

    @property
    def keystone_url(self) -> str:
        return self.state.keystone_url

    def endpoint(self, region: str) -> str:
        """URL of the region's Glance, without a version."""
        return self.state.endpoint(region)

    def session(self, user: str) -> Session:
        """A keystoneauth1 session of a user of the lab: admin, demo, rival, glance-sync, glance-sync-events."""
        return new_session(self.state, user)

    @property
    def services(self) -> list[Service]:
        return [*([self.mariadb] if self.mariadb else []), self.keystone, *self.glances.values(), *self.servers]

    def _adopt(self, state: LabState) -> None:
        self.state = state
        self.mariadb = Mariadb(state) if state.options.database == MARIADB else None
        self.keystone = Keystone(state)
        self.glances = {region: Glance(state, region) for region in state.regions}
        self.servers = [SyncServer(state, name=name) for name in state.server_names]
        self.server = self.servers[0]

    def _leave_taken_ports(self) -> None:
        """A port that a stranger took while our service was down is given up; every file that names it changes."""
        for service in self.services:
            if not service.is_alive:
                service.kill()
                if not ports.is_free(self.state.ports[service.name]):
                    self.state.ports[service.name] = ports.find_free_port(self.state.ports.values())

    def _start_cloud(self) -> None:
        if self.mariadb:
            _bring_up(self.mariadb)
        _in_parallel([lambda service=service: _bring_up(service)  # type: ignore[misc]
                      for service in (self.keystone, *self.glances.values())])
        Identity(self.state, self.session("admin")).ensure_all()
        write_credentials(self.state)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two commands on one lab wait for each other."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _bring_up(service: Service) -> None:
    if service.configure():
        service.stop()
    service.prepare_once()
    service.start()
    service.wait_ready()


def _in_parallel(steps: Sequence[Callable[[], None]]) -> None:
    """All steps at once; when all are over, the first error is raised."""
    with ThreadPoolExecutor(max_workers=max(1, len(steps))) as pool:
        for future in [pool.submit(step) for step in steps]:
            future.result()


def _check_glance(options: LabOptions) -> None:
    """The filter, and what Glance and its server need, must be importable where Glance is to run."""
    if options.glance_environment is None:
        return
    wanted = ["glance", "gunicorn", "glancesync.lab.sqlite", *(["glancesync.filter"] if options.with_filter else [])]
    command = [str(glance_python(options)), "-c", f"import {', '.join(wanted)}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60,
                                env=base_environment())
    except OSError as error:
        raise LabError(f"{options.glance_environment} is no Python environment ({error})") from error
    if answer.returncode:
        raise LabError(f"{options.glance_environment} has no glance and gunicorn, or not this package (pip install "
                       f"--no-deps): {answer.stderr.strip().splitlines()[-1]}")
