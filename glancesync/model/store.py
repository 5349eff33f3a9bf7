# SPDX-License-Identifier: Apache-2.0
"""What glance_store.yaml says: which stores lie behind a region's Glance, and how their hosts are reached. Made by
stores.loader."""
from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from glancesync.model.region import Region


@dataclass(frozen=True, kw_only=True)
class PasswordSource:
    """Where a password is had from when it is needed. `kind` is file, environment, command or clear; `value` is a path,
    a variable's name, an argument list or the password itself, which no text of this object shows."""

    kind: str
    value: str | tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class SshAccess:
    """An account on a host. Paths are the sync server's own; None stands for ssh's defaults."""

    host: str
    user: str
    port: int = 22
    key_file: str | None = None
    known_hosts_file: str | None = None
    cipher: str | None = None
    jump_host: str | None = None
    password: PasswordSource | None = None

    @property
    def account(self) -> tuple[str | None, str, int, str]:
        """Which account it is, however it is logged in to. Behind another jump host the same address is another's."""
        return self.jump_host, self.host, self.port, self.user


@dataclass(frozen=True, kw_only=True)
class PeerAccess:
    """How hosts of stores reach one another, without this server between. `key_file`, `known_hosts_file`: with what
    this host logs in to others; paths on that host. `host`, `port`, `user`: where others find this one; None where it
    is as the server finds it."""

    key_file: str | None = None
    known_hosts_file: str | None = None
    host: str | None = None
    port: int | None = None
    user: str | None = None


@dataclass(frozen=True, kw_only=True)
class FilesystemScheme:
    """A folder of files named by image id on a host; `datadir` is absolute and ends without a slash."""

    ssh: SshAccess
    datadir: str
    peer: PeerAccess = PeerAccess()
    name: str = "filesystem"


@dataclass(frozen=True, kw_only=True)
class HttpScheme:
    """Files that a web server gives out below `path`."""

    netloc: str
    path: str
    image_name: str | None = None
    name: str = "http"


Scheme = FilesystemScheme | HttpScheme


@dataclass(frozen=True, kw_only=True)
class GlanceStores:
    """The stores of one Glance, which is named by its region, by the host of its endpoint, or by both. `drivers`: which
    may fill it, the first one first; empty where [stores] drivers says so. `import_plugins`: those that it passes
    imported bytes through, as far as somebody told."""

    name: str
    region: str | None
    service_ip: str | None
    schemes: tuple[Scheme, ...]
    drivers: tuple[str, ...] = ()
    import_plugins: tuple[str, ...] = ()

    def is_of(self, region: Region) -> bool:
        """A region's name says more than an address."""
        if self.region is not None:
            return self.region == region.name
        return self.service_ip == host_of(region)


@dataclass(frozen=True, kw_only=True)
class StoresConfig:
    """All of the file; empty where there is none."""

    glances: tuple[GlanceStores, ...] = ()

    def find(self, region: Region) -> GlanceStores | None:
        """The stores of a region, None where the file names none."""
        return next((each for each in self.glances if each.is_of(region)), None)


def host_of(region: Region) -> str | None:
    """The host of a region's image endpoint, without brackets."""
    return urlsplit(region.endpoint).hostname
