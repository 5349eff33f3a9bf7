# SPDX-License-Identifier: Apache-2.0
"""[transfer]: how bytes move."""
from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

OPTS = [
    cfg.IntOpt("chunk_bytes", mutable=True, default=65536, min=1, max=16 * 1024 * 1024,
               help="Size of the pieces that are read from the source and written to the targets."),
    cfg.IntOpt("buffer_bytes", mutable=True, default=8 * 1024 * 1024, min=65536,
               help="Bytes held for each target that is slower than the source, before the source is made to wait."),
    cfg.IntOpt("max_image_bytes", mutable=True, default=0, min=0,
               help="Larger images are copied nowhere (image_too_large), 0: any. Set it to the image_size_cap of the "
                    "regions' Glances, of which no Glance tells: it refuses such an image when it has come."),
    cfg.FloatOpt("tee_gather_seconds", mutable=True, default=0.5, min=0,
                 help="How long a copy waits for other regions that were claimed with it, so that one read of the "
                      "source serves all of them."),
    cfg.FloatOpt("tee_stall_seconds", mutable=True, default=20, min=0.1,
                 help="How long one target may hold up the others before it drops out of the common read and copies "
                      "by itself."),
    cfg.IntOpt("max_reads_per_source", mutable=True, default=2, min=1, max=1000,
               help="How many copies of one image may be read from one region at once; copies that share a read count "
                    "once. The others wait until one has ended, and may then read from the regions that have the "
                    "image by now, so that N regions are filled in about log(N) rounds. All servers that share "
                    "the database count together."),
    cfg.FloatOpt("idle_timeout_seconds", mutable=True, default=60, min=0.1,
                 help="A source or target that moves no byte for this long counts as dead."),
]


@dataclass(frozen=True, kw_only=True)
class TransferSettings:
    chunk_bytes: int = 65536
    buffer_bytes: int = 8 * 1024 * 1024
    max_image_bytes: int = 0
    tee_gather_seconds: float = 0.5
    tee_stall_seconds: float = 20
    max_reads_per_source: int = 2
    idle_timeout_seconds: float = 60


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group="transfer")


def read(conf: cfg.ConfigOpts) -> TransferSettings:
    return TransferSettings(**{opt.dest: conf.transfer[opt.dest] for opt in OPTS})
