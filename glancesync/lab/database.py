# SPDX-License-Identifier: Apache-2.0
"""Where Keystone and the Glances keep their rows: a SQLite file each, or one MariaDB of the lab's own."""
from __future__ import annotations

import getpass
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from glancesync.lab.errors import LabError
from glancesync.lab.files import ini
from glancesync.lab.ports import HOST
from glancesync.lab.service import Service, base_environment
from glancesync.lab.sqlite import PLUGIN
from glancesync.lab.state import LabState

NAME = "mariadb"


def database_options(state: LabState, service: Service) -> dict[str, Any]:
    """The [database] section of a service."""
    if state.options.database == NAME:
        password = state.passwords["database"]
        url = f"mysql+pymysql://lab:{password}@{HOST}:{state.ports[NAME]}/{_schema(service)}?charset=utf8mb4"
        return {"connection": url, "max_pool_size": 10}
    # synchronous=off keeps transactions, and with them the time in which others meet a locked file, short; it costs
    # durability only when the machine dies, and the lab dies with it.
    return {"connection": f"sqlite:///{_sqlite_path(service)}?timeout=30&plugin={PLUGIN}",
            "sqlite_synchronous": False}


def prepare_database(state: LabState, service: Service) -> None:
    """To be called before a service's own `db_sync`."""
    if state.options.database == NAME:
        Mariadb(state).create_schema(_schema(service))
        return
    # WAL stays set in the file. With it readers do not stand in the way of the writer.
    with closing(sqlite3.connect(_sqlite_path(service))) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _sqlite_path(service: Service) -> Path:
    return service.directory / "service.db"


def _schema(service: Service) -> str:
    return re.sub(r"\W", "_", service.name.lower())


class Mariadb(Service):
    """A mariadbd of the lab's own, on a port of its own; nothing of a MariaDB of the machine is touched."""

    def __init__(self, state: LabState) -> None:
        super().__init__(name=NAME, directory=state.directory / NAME)
        self._state = state

    @property
    def url(self) -> str:
        return f"{HOST}:{self._state.ports[NAME]}"

    def files(self) -> Mapping[Path, str]:
        options = {
            "user": getpass.getuser(), "datadir": self.directory / "data", "socket": self._socket,
            "pid_file": self.directory / "mariadbd.pid", "bind_address": HOST, "port": self._state.ports[NAME],
            "innodb_flush_log_at_trx_commit": 2, "character_set_server": "utf8mb4", "skip_name_resolve": 1,
            "max_connections": 400,
        }
        return {self._conf: ini({"mariadbd": options})}

    def prepare(self) -> None:
        self.run([_program("mariadb-install-db"), f"--defaults-file={self._conf}", "--skip-test-db",
                  "--auth-root-authentication-method=socket"])

    def arguments(self) -> Sequence[str]:
        return [_program("mariadbd"), f"--defaults-file={self._conf}"]

    def environment(self) -> Mapping[str, str]:
        return {}

    def is_ready(self) -> bool:
        return self._socket.exists() and self._query("SELECT 1").returncode == 0

    def create_schema(self, schema: str, charset: str = "utf8mb3") -> None:
        """Create the schema and the lab's user for it, unless they are there; the character set is what Keystone and
        Glance are set up with. Raises LabError."""
        password = self._state.passwords["database"]
        answer = self._query(f"CREATE DATABASE IF NOT EXISTS {schema} CHARACTER SET {charset};\n"
                             f"CREATE USER IF NOT EXISTS 'lab'@'{HOST}' IDENTIFIED BY '{password}';\n"
                             f"GRANT ALL ON {schema}.* TO 'lab'@'{HOST}';\n")
        if answer.returncode:
            raise LabError(f"mariadb refused to create {schema}; see {self.log_path}")

    @property
    def _conf(self) -> Path:
        return self.directory / "my.cnf"

    @property
    def _socket(self) -> Path:
        return self.directory / "mariadb.sock"

    def _query(self, statements: str) -> subprocess.CompletedProcess[bytes]:
        """By the client, over standard input: a password never stands in the list of processes."""
        return subprocess.run([_program("mariadb"), "--no-defaults", f"--socket={self._socket}"],
                              input=statements.encode(), capture_output=True, check=False, timeout=30,
                              env=base_environment())


def _program(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise LabError(f"{name} is missing: install MariaDB (Debian: apt-get install mariadb-server)")
    return path
