# SPDX-License-Identifier: Apache-2.0
"""The lab's Keystone. Its projects, users and endpoints are made by `identity` once it answers."""
from __future__ import annotations

import getpass
import grp
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from glancesync.lab.database import database_options, prepare_database
from glancesync.lab.files import Sections, ini
from glancesync.lab.service import Service, answers, program
from glancesync.lab.state import LabState
from glancesync.lab.wsgi import CONF_NAME, gunicorn_arguments, gunicorn_conf


class Keystone(Service):
    """One Keystone for all regions, with fernet tokens."""

    def __init__(self, state: LabState) -> None:
        super().__init__(name="keystone", directory=state.directory / "keystone")
        self._state = state

    @property
    def url(self) -> str:
        return self._state.keystone_url

    def files(self) -> Mapping[Path, str]:
        options: Sections = {
            "database": database_options(self._state, self),
            "token": {"provider": "fernet", "expiration": self._state.options.token_expiration_seconds},
            "fernet_tokens": {"key_repository": self.directory / "fernet"},
            "credential": {"key_repository": self.directory / "credential"},
            # In the one process that serves, so a change is seen at once. Without it Keystone took half of the
            # processor time of a random history, for tokens and their checks.
            "cache": {"enabled": True, "backend": "oslo_cache.dict"},
            # Passwords of the lab are long and random; the usual rounds would cost 0.2 s for each login.
            "identity": {"password_hash_rounds": 4},  # nosec B105
        }
        gunicorn = gunicorn_conf(application="keystone.wsgi.api:application", port=self._state.ports[self.name],
                                 threads=4)
        return {self._conf: ini(options), self.directory / CONF_NAME: gunicorn}

    def prepare(self) -> None:
        for folder in ("fernet", "credential"):
            (self.directory / folder).mkdir(mode=0o700, exist_ok=True)
        prepare_database(self._state, self)
        owner = ("--keystone-user", getpass.getuser(), "--keystone-group", grp.getgrgid(os.getgid()).gr_name)
        steps = (("db_sync",), ("fernet_setup", *owner), ("credential_setup", *owner))
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda step: self._manage(*step), steps))
        url = self._state.keystone_url
        self._manage("bootstrap", "--bootstrap-region-id", self._state.cascading_region,
                     *(argument for kind in ("public", "internal", "admin")
                       for argument in (f"--bootstrap-{kind}-url", url)))

    def arguments(self) -> Sequence[str]:
        return gunicorn_arguments(Path(sys.executable))

    def environment(self) -> Mapping[str, str]:
        return {"OS_KEYSTONE_CONFIG_DIR": str(self.directory)}

    def is_ready(self) -> bool:
        return answers(self.url)

    @property
    def _conf(self) -> Path:
        return self.directory / "keystone.conf"

    def _manage(self, command: str, *arguments: str) -> None:
        self.run([program("keystone-manage"), "--config-file", str(self._conf), command, *arguments],
                 {"OS_BOOTSTRAP_PASSWORD": self._state.passwords["admin"]} if command == "bootstrap" else {})
