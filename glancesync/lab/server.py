# SPDX-License-Identifier: Apache-2.0
"""The lab's sync servers: each one `glance-sync` with a configuration file that a test may override."""
from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from glancesync.lab.files import Sections, ini
from glancesync.lab.ports import HOST
from glancesync.lab.service import Service, answers
from glancesync.lab.state import LabState

Overrides = Mapping[str, Mapping[str, object]]


class SyncServer(Service):
    """`overrides` maps sections to options; they win over the lab's own.

    The database is the lab's `sync_database`; where there is none, an SQLite file beside the configuration, which
    survives a restart.
    """

    def __init__(self, state: LabState, overrides: Overrides | None = None, *, name: str = "server") -> None:
        super().__init__(name=name, directory=state.directory / name)
        self._state = state
        self.overrides: Overrides = overrides or {}

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._state.ports[self.name]}"

    @property
    def conf_path(self) -> Path:
        return self.directory / "glance-sync.conf"

    @property
    def database_path(self) -> Path:
        return self.directory / "glance-sync.db"

    def files(self) -> Mapping[Path, str]:
        sections = self._options()
        for section, options in self.overrides.items():
            sections[section] = {**sections.get(section, {}), **options}
        return {self.conf_path: ini(sections)}

    def prepare(self) -> None:
        self.run([sys.executable, "-m", "glancesync.cmd.manage", "--config-file", str(self.conf_path), "db", "sync"])

    def arguments(self) -> Sequence[str]:
        return [sys.executable, "-m", "glancesync.cmd.server", "--config-file", str(self.conf_path)]

    def environment(self) -> Mapping[str, str]:
        return {}

    def is_ready(self) -> bool:
        return answers(f"{self.url}/healthcheck")

    def bring_up(self, deadline_seconds: float = 60) -> None:
        """Write the configuration, prepare the database, start and wait; restarts when the configuration changed."""
        if self.configure():
            self.stop()
        if not self.is_alive:
            self.prepare()  # each time: a newer program may need a newer database
        self.start()
        self.wait_ready(deadline_seconds)

    def _options(self) -> Sections:
        state = self._state
        auth = state.auth_options("glance-sync")
        return {
            "DEFAULT": {
                "bind_host": HOST, "bind_port": state.ports[self.name],
                "cascading_region": state.cascading_region, "sync_strategy": "ALL",
            },
            "database": {"connection": state.options.sync_database or f"sqlite:///{self.database_path}"},
            "keystone": auth,
            "keystone_authtoken": auth | {"www_authenticate_uri": state.keystone_url},
        }
