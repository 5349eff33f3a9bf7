# SPDX-License-Identifier: Apache-2.0
"""What a call to a Glance costs this process: glanceclient's own way against the thin calls of glancesync.regions.

    python -m tests.benchmark.region_calls [--quick] [--rounds 7] [--mebibytes 64] [--lab-dir DIR]

A round makes several calls of each kind in both ways. What counts is the CPU time of this process: the Glance behind
takes the same for both. Works in the last cascaded region and removes what it made.
"""
from __future__ import annotations

import io
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from glanceclient import Client

from glancesync.model.image import ImageChanges, NewImage
from glancesync.regions.glance import GlanceRegion
from tests.benchmark.clouds import Cloud, add_lab_options, standing_cloud
from tests.benchmark.rounds import Row, Sample, interleave, new_parser, parse, print_table

MIB = 1024 * 1024
PROPERTIES = {f"property_{number}": "value" for number in range(10)}
PLAIN, THIN = "glanceclient", "glancesync"
HEADER = ("call", "client", "wall ms: median (spread)", "CPU ms: median (spread)", "CPU, ratio (spread)")
Work = Callable[[], object]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser(__doc__, rounds=7, quick_rounds=2)
    parser.add_argument("--mebibytes", type=int)
    add_lab_options(parser)
    options = parse(parser, arguments)
    with standing_cloud(options) as cloud:
        bench = Bench(cloud, options.rounds, calls=2 if options.quick else 10)
        try:
            bench.run(options.mebibytes or (4 if options.quick else 64))
        finally:
            bench.clean()


class Bench:
    """Both clients over one session, and the images they made."""

    def __init__(self, cloud: Cloud, rounds: int, calls: int) -> None:
        endpoint, session = cloud.lab.endpoint(cloud.lab.cascaded_regions[-1]), cloud.lab.session("glance-sync")
        self._thin = GlanceRegion(region_name=cloud.lab.cascaded_regions[-1], endpoint=endpoint, session=session,
                                  connect_timeout_seconds=10, read_timeout_seconds=60, idle_timeout_seconds=60)
        self._plain = Client("2", session=session, endpoint_override=endpoint)
        self._rounds = rounds
        self._calls = calls
        self._made: list[str] = []

    def run(self, mebibytes: int) -> None:
        image_id, block = self._create_thin(), b"\xa5" * MIB * mebibytes
        images, thin = self._plain.images, self._thin
        filters = {"visibility": "all", "member_status": "all", "os_hidden": "true"}
        rows = [
            *self._compare("create", self._create_plain, self._create_thin),
            *self._compare("get", lambda: images.get(image_id), lambda: thin.get_image(image_id, with_members=False)),
            *self._compare("update", lambda: images.update(image_id, name=new_name()),
                           lambda: thin.update_image(image_id, ImageChanges(fields={"name": new_name()}))),
            *self._compare("list", lambda: list(images.list(filters=dict(filters), sort="id:asc")),
                           lambda: list(thin.list_images(hidden=True))),
            *self._compare(f"upload of {mebibytes} MiB", lambda: images.upload(self._create_thin(), io.BytesIO(block)),
                           lambda: thin.upload_data(self._create_thin(), pieces(block), size=len(block)), calls=1),
        ]
        filled = self._made[-1]
        rows += self._compare(f"download of {mebibytes} MiB", lambda: drain(images.data(filled)),
                              lambda: self._read(filled), calls=1)
        print_table("Calls of both clients", HEADER, rows)

    def _compare(self, name: str, plain: Work, thin: Work, calls: int | None = None) -> list[Row]:
        count = calls or self._calls
        results = interleave({PLAIN: partial(measure, plain, count), THIN: partial(measure, thin, count)},
                             self._rounds)
        return [(name, side, results.values(side, "wall").text(), results.values(side, "cpu").text(),
                 results.ratio(side, PLAIN, "cpu").text()) for side in (PLAIN, THIN)]

    def _create_plain(self) -> None:
        self._made.append(str(uuid.uuid4()))
        self._plain.images.create(id=self._made[-1], name="benchmark", disk_format="raw", container_format="bare",
                                  visibility="private", os_hidden=True, tags=["a", "b"], **PROPERTIES)

    def _create_thin(self) -> str:
        self._made.append(str(uuid.uuid4()))
        self._thin.create_image(NewImage(
            id=self._made[-1], name="benchmark", owner=None, visibility="private", protected=False, os_hidden=True,
            disk_format="raw", container_format="bare", min_disk=0, min_ram=0, tags=frozenset(("a", "b")),
            properties=PROPERTIES))
        return self._made[-1]

    def _read(self, image_id: str) -> None:
        with self._thin.open_data(image_id) as data:
            drain(data.chunks)

    def clean(self) -> None:
        for image_id in self._made:
            if self._thin.find_image(image_id, with_members=False):
                self._thin.delete_image(image_id)


def measure(work: Work, calls: int) -> Sample:
    """Milliseconds of wall clock and of CPU for one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        work()
    return {"wall": (time.perf_counter() - wall) * 1000 / calls, "cpu": (time.process_time() - cpu) * 1000 / calls}


def new_name() -> str:
    return f"benchmark {uuid.uuid4()}"


def pieces(data: bytes) -> Iterator[bytes]:
    return (data[start:start + 65536] for start in range(0, len(data), 65536))


def drain(chunks: Any) -> None:
    for _ in chunks:
        continue


if __name__ == "__main__":
    main()
