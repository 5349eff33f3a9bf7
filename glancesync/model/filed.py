# SPDX-License-Identifier: Apache-2.0
"""What a Glance that has the store filter is told of a file that it is to register. Used by the regions' clients and
the filter."""
from __future__ import annotations

from dataclasses import dataclass

COMPARED_HEADER = "X-Glance-Sync-Compared"
CHECKSUM_HEADER = "X-Glance-Sync-Checksum"


@dataclass(frozen=True, kw_only=True)
class Filed:
    """`compared`: the bytes had the image's hash when they were written; else the filter compares it, or its Glance.
    `checksum`: the md5 of bytes that have that hash, None where nobody knows it."""

    compared: bool = False
    checksum: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        found = {COMPARED_HEADER: "1"} if self.compared else {}
        return found | ({CHECKSUM_HEADER: self.checksum} if self.checksum else {})
