# SPDX-License-Identifier: Apache-2.0
"""The images that the demo uploads: one of each kind that is easy to get wrong. Called by `demo`."""
from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

MIB = 1024 * 1024
# Every image of the demo carries it, so that the next run finds what this one left.
MARK = "glancesync_demo"


@dataclass(frozen=True, kw_only=True)
class DemoImage:
    """`data` gives the bytes anew at each call. `member` and `accepted`: shared with the other project."""

    name: str
    user: str
    data: Callable[[], Iterator[bytes]]
    fields: dict[str, Any] = field(default_factory=dict)
    member: str | None = None
    accepted: bool = False


def demo_images(large_mib: int = 256) -> tuple[DemoImage, ...]:
    return (
        DemoImage(name="small", user="demo", data=random_bytes(MIB)),
        DemoImage(name="large", user="demo", data=random_bytes(large_mib * MIB),
                  fields={"min_disk": 10, "min_ram": 512}),
        DemoImage(name="cloud disk", user="demo", data=lambda: iter([empty_qcow2(1024 * MIB)]),
                  fields={"disk_format": "qcow2", "tags": ["golden", "2026"]}),
        DemoImage(name="shared, accepted", user="demo", data=random_bytes(2 * MIB), member="rival", accepted=True,
                  fields={"visibility": "shared"}),
        DemoImage(name="shared, pending", user="rival", data=random_bytes(2 * MIB), member="demo",
                  fields={"visibility": "shared"}),
        DemoImage(name="protected", user="rival", data=random_bytes(4 * MIB), fields={"protected": True}),
        DemoImage(name="hidden", user="demo", data=random_bytes(MIB), fields={"os_hidden": True}),
        DemoImage(name="odd properties", user="demo", data=random_bytes(MIB),
                  fields={"hw disk/bus": "scsi", "~tilde~": "a=b;c", "UPPER.case": "", "owner_specified.x:y": "{}"}),
        # Glance itself refuses characters beyond the basic multilingual plane.
        DemoImage(name="Größe – 日本語 ✓", user="rival", data=random_bytes(MIB),
                  fields={"Beschreibung": "läuft überall", "tags": ["schön"]}),
        DemoImage(name="empty", user="demo", data=lambda: iter(())),
    )


def random_bytes(size: int) -> Callable[[], Iterator[bytes]]:
    """Bytes that no store or network can shorten, in chunks of a MiB."""
    def generate() -> Iterator[bytes]:
        for offset in range(0, size, MIB):
            yield os.urandom(min(MIB, size - offset))
    return generate


def empty_qcow2(virtual_size: int) -> bytes:
    """A valid qcow2 (version 3) of `virtual_size` bytes, none of them written: what `qemu-img create` makes.

    Four clusters: header, refcount table, refcount block, L1 table.
    """
    cluster_bits = 16
    cluster = 1 << cluster_bits
    l1_entries = -(-virtual_size // (cluster * cluster // 8))
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3,
        0, 0,                    # no backing file
        cluster_bits, virtual_size,
        0,                       # no encryption
        l1_entries, 3 * cluster,
        cluster, 1,              # the refcount table and its clusters
        0, 0,                    # no snapshots
        0, 0, 0,                 # no incompatible, compatible or autoclear features
        4, 104)                  # refcounts of 16 bits; the header's length
    refcount_table = struct.pack(">Q", 2 * cluster)
    refcount_block = struct.pack(">4H", 1, 1, 1, 1)
    parts = (header, refcount_table, refcount_block, bytes(8 * l1_entries))
    return b"".join(part.ljust(cluster, b"\0") for part in parts)
