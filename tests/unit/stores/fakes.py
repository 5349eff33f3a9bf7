# SPDX-License-Identifier: Apache-2.0
"""A driver between folders that are the memory region's web."""
from __future__ import annotations

from glancesync.model.store import FilesystemScheme, GlanceStores, SshAccess
from glancesync.stores.driver import Capabilities, CopyDriver


class FakeDriver(CopyDriver):
    """`web`: where what it copied lies, by URL; `error` is raised in the middle of a copy."""

    name = "filesystem"
    capabilities = Capabilities(source_scheme="filesystem", target_scheme="filesystem", registers="file",
                                algorithms=frozenset({"sha512"}))

    def __init__(self, data=b"", web=None, error=None):
        self.data, self.web, self.error = data, web if web is not None else {}, error
        self.calls, self.copies = [], []

    def find_obstacle(self, source, target):
        return "the same folder" if source == target else None

    def copy(self, copy, progress):
        self.calls.append("copy")
        self.copies.append(copy)
        if self.error is not None:
            raise self.error
        url = f"file:///{copy.replica_id}"
        self.web[url] = self.data
        return url

    def verify(self, copy, progress):
        self.calls.append("verify")

    def discard(self, copy):
        self.calls.append("discard")
        self.web.pop(f"file:///{copy.replica_id}", None)

    def check(self, scheme):
        return []

    def close(self):
        self.calls.append("close")


def stores(region, datadir=None):
    return GlanceStores(name=region, region=region, service_ip=None, schemes=(FilesystemScheme(
        datadir=datadir or f"/{region}", ssh=SshAccess(host=region, user="u")),))
