# SPDX-License-Identifier: Apache-2.0
"""What a lab remembers between two commands: regions, ports, passwords. Kept in DIR/lab.json, mode 0600."""
from __future__ import annotations

import json
import secrets
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from glancesync.lab import ports
from glancesync.lab.errors import LabError
from glancesync.lab.files import write_private

REGION_NAMES = tuple(f"Region{word}" for word in ("One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight"))
DATABASES = ("sqlite", "mariadb")
MOST_SERVERS = 8
PROJECTS = ("demo", "rival")
# user name -> (project, roles)
USERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "admin": ("admin", ("admin",)),
    "glance": ("service", ("service",)),
    "glance-sync": ("service", ("admin", "service", "glance_sync_store")),
    "glance-sync-events": ("service", ("glance_sync_events",)),
    "demo": ("demo", ("member",)),
    "rival": ("rival", ("member",)),
}


@dataclass(frozen=True, kw_only=True)
class LabOptions:
    """What a lab is asked to be. More regions may be asked for later, fewer may not.

    `token_expiration_seconds` is Keystone's; `with_filter` puts the paste filter into the cascading Glance;
    `glance_environment` is the virtual environment whose Glance is run, None for the one that runs the lab;
    `notifications_url` the message broker that the Glances notify, None for none; so many regions, from
    the first on, take http URLs for locations (`http_stores`); the cascaded ones take files of their own store, from
    who has the role (`store_filter`). `servers` sync servers share `sync_database`, the SQLAlchemy URL of an empty
    PostgreSQL or MariaDB database that is not the lab's own; None for SQLite, which serves one.
    """

    regions: int = 3
    database: str = "sqlite"
    token_expiration_seconds: int = 3600
    with_filter: bool = True
    glance_environment: str | None = None
    notifications_url: str | None = None
    http_stores: int = 0
    store_filter: bool = False
    servers: int = 1
    sync_database: str | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.regions <= len(REGION_NAMES):
            raise LabError(f"a lab has 2 to {len(REGION_NAMES)} regions, not {self.regions}")
        if self.database not in DATABASES:
            raise LabError(f"unknown database {self.database!r}; known: {', '.join(DATABASES)}")
        if not 1 <= self.servers <= MOST_SERVERS:
            raise LabError(f"a lab has 1 to {MOST_SERVERS} sync servers, not {self.servers}")
        if self.servers > 1 and (self.sync_database or "sqlite").startswith("sqlite"):
            raise LabError("several sync servers need a PostgreSQL or MariaDB that they share: --sync-database")


@dataclass(frozen=True, kw_only=True)
class LabState:
    """One lab as it lies on disk. `ports` by service name: keystone, the regions, server, server-2 ..., mariadb."""

    directory: Path
    options: LabOptions
    ports: dict[str, int] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)

    @property
    def regions(self) -> tuple[str, ...]:
        return REGION_NAMES[: self.options.regions]

    @property
    def cascading_region(self) -> str:
        return REGION_NAMES[0]

    @property
    def keystone_url(self) -> str:
        return f"http://{ports.HOST}:{self.ports['keystone']}/v3"

    @property
    def server_names(self) -> list[str]:
        """Of the sync servers' services; the first is the one that the filter reports to."""
        return ["server", *(f"server-{number}" for number in range(2, self.options.servers + 1))]

    def endpoint(self, region: str) -> str:
        """URL of the region's Glance, without a version."""
        return f"http://{ports.HOST}:{self.ports[region]}"

    @property
    def server_url(self) -> str:
        return f"http://{ports.HOST}:{self.ports['server']}"

    def auth_options(self, user: str) -> dict[str, str]:
        """keystoneauth1's password options of a user of the lab, as a configuration file wants them."""
        return {
            "auth_type": "password", "auth_url": self.keystone_url,
            "username": user, "password": self.passwords[user], "user_domain_name": "Default",
            "project_name": USERS[user][0], "project_domain_name": "Default",
        }

    def save(self) -> None:
        record = {"options": asdict(self.options), "ports": self.ports, "passwords": self.passwords}
        write_private(state_path(self.directory), json.dumps(record, indent=2))


def state_path(directory: Path) -> Path:
    return directory / "lab.json"


def find_state(directory: Path) -> LabState | None:
    """The lab that lies in the directory, None when there is none; raises LabError for an unreadable one."""
    path = state_path(directory)
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text("utf-8"))
        options = LabOptions(**record.pop("options"))
        return LabState(directory=directory, options=options, **record)
    except (ValueError, TypeError, KeyError) as error:
        raise LabError(f"{path} is not a lab's state ({error}); remove {directory} and start anew") from error


def plan_state(directory: Path, found: LabState | None, options: LabOptions) -> LabState:
    """The state that a lab with these options needs, built on what was found; raises LabError where it cannot be."""
    if found is None:
        found = LabState(directory=directory, options=options)
    if options.database != found.options.database:
        raise LabError(f"the lab in {directory} runs on {found.options.database}; take it down first")
    if options.glance_environment != found.options.glance_environment:
        raise LabError(f"the lab in {directory} runs the Glance of {found.options.glance_environment or sys.prefix}; "
                       "take it down first")
    if options.regions < found.options.regions:
        raise LabError(f"the lab in {directory} has {found.options.regions} regions; take it down first")
    if options.servers < found.options.servers:
        raise LabError(f"the lab in {directory} has {found.options.servers} sync servers; take it down first")
    planned = replace(found, options=options, ports=dict(found.ports), passwords=dict(found.passwords))
    for name in USERS:
        planned.passwords.setdefault(name, secrets.token_urlsafe(24))
    planned.passwords.setdefault("database", secrets.token_urlsafe(24))
    for name in service_names(planned):
        if name not in planned.ports:
            planned.ports[name] = ports.find_free_port(planned.ports.values())
    return planned


def service_names(state: LabState) -> list[str]:
    """Every service that listens, in the order in which they are needed."""
    first = ["mariadb"] if state.options.database == "mariadb" else []
    return [*first, "keystone", *state.regions, *state.server_names]
