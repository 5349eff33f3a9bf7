# SPDX-License-Identifier: Apache-2.0
"""Where things lie on a host, and what was asked for. Made by the command line, handed to everything else."""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

USER = "glance-sync"
UNIT = "glance-sync.service"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Every path that an installation touches; tests put another root under them."""

    root: Path = field(default_factory=lambda: Path("/"))

    @property
    def programs(self) -> Path:
        return self.root / "opt/glance-sync"

    @property
    def config(self) -> Path:
        return self.root / "etc/glance-sync/glance-sync.conf"

    @property
    def state(self) -> Path:
        return self.root / "var/lib/glance-sync"

    @property
    def logs(self) -> Path:
        return self.root / "var/log/glance-sync"

    @property
    def unit(self) -> Path:
        return self.root / "etc/systemd/system" / UNIT

    @property
    def rotation(self) -> Path:
        return self.root / "etc/logrotate.d/glance-sync"

    @property
    def record(self) -> Path:
        """Of root alone: what uninstall.sh believes must not be where the server may write."""
        return self.root / "var/lib/glance-sync-installation"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the administrator asked for. Passwords are None until they are given. `cascaded`: the store filter of a
    cascaded Glance, and nothing else."""

    source: Path
    python: Path
    glance_conf: Path
    glance_paste: Path
    glance_python: Path | None
    glance_user: str = "glance"
    outbox: Path = Path("/var/lib/glance/glance-sync-outbox")
    system_packages: bool = False
    with_filter: bool = True
    cascaded: bool = False
    locks: Path = Path("/var/lib/glance/glance-sync-locks")
    cascading_region: str | None = None
    auth_url: str | None = None
    service_password: str | None = field(default=None, repr=False)
    events_password: str | None = field(default=None, repr=False)
