# SPDX-License-Identifier: Apache-2.0
"""What a call to a Glance costs this process: glanceclient's own way against the thin calls of glancesync.regions.

    python -m tests.benchmark.region_calls --lab-dir DIR [--rounds 40] [--mebibytes 128]

Prints milliseconds of wall clock and of this process's CPU for each call (for streams: for each MiB), and the ratio of
the CPU times. Needs a running lab (glance-sync-lab up); works in the last cascaded region and removes what it made.
"""
from __future__ import annotations

import argparse
import io
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from glanceclient import Client

from glancesync.lab.cloud import Lab
from glancesync.model.image import ImageChanges, NewImage
from glancesync.regions.glance import GlanceRegion

PROPERTIES = {f"property_{number}": "value" for number in range(10)}
Work = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab-dir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--mebibytes", type=int, default=128)
    options = parser.parse_args()
    lab = Lab(options.lab_dir)
    bench = Bench(lab, lab.cascaded_regions[-1])
    try:
        bench.run(options.rounds, options.mebibytes)
    finally:
        bench.clean()


class Bench:
    """Both clients over one session, and the images they made."""

    def __init__(self, lab: Lab, region: str) -> None:
        session = lab.session("glance-sync")
        self.thin = GlanceRegion(region_name=region, endpoint=lab.endpoint(region), session=session,
                                 connect_timeout_seconds=10, read_timeout_seconds=60, idle_timeout_seconds=60)
        self.plain = Client("2", session=session, endpoint_override=lab.endpoint(region))
        self.made: list[str] = []

    def run(self, rounds: int, mebibytes: int) -> None:
        image_id = self.create_thin()
        names = iter(range(10**9))
        print(f"{'call':<22}{'glanceclient wall/CPU':>24}{'thin wall/CPU':>20}{'CPU ratio':>12}")
        self.compare("create", self.create_plain, self.create_thin, rounds)
        self.compare("get", lambda: self.plain.images.get(image_id), lambda: self.thin.get_image(
            image_id, with_members=False), rounds)
        self.compare("update", lambda: self.plain.images.update(image_id, name=f"n{next(names)}"),
                     lambda: self.thin.update_image(image_id, ImageChanges(fields={"name": f"n{next(names)}"})), rounds)
        filters = {"visibility": "all", "member_status": "all", "os_hidden": "true"}
        self.compare(f"list of {len(self.made)}",
                     lambda: list(self.plain.images.list(filters=dict(filters), sort="id:asc")),
                     lambda: list(self.thin.list_images(hidden=True)), max(5, rounds // 4))
        self.compare_streams(mebibytes)

    def compare_streams(self, mebibytes: int) -> None:
        block = b"\xa5" * (1024 * 1024)
        first, second = self.create_thin(), self.create_thin()
        self.compare("upload of a MiB", lambda: self.plain.images.upload(first, io.BytesIO(block * mebibytes)),
                     lambda: self.thin.upload_data(second, _pieces(block, mebibytes), size=mebibytes * len(block)),
                     1, per=mebibytes)
        self.compare("download of a MiB", lambda: _drain(self.plain.images.data(first)), lambda: self._read(second), 1,
                     per=mebibytes)

    def compare(self, name: str, plain: Work, thin: Work, rounds: int, *, per: int = 1) -> None:
        (old_wall, old_cpu), (new_wall, new_cpu) = measure(plain, rounds), measure(thin, rounds)
        print(f"{name:<22}{old_wall / per:>12.2f} /{old_cpu / per:>7.2f} ms{new_wall / per:>9.2f} /"
              f"{new_cpu / per:>6.2f} ms{old_cpu / new_cpu:>11.1f}")

    def create_plain(self) -> str:
        self.made.append(str(uuid.uuid4()))
        self.plain.images.create(id=self.made[-1], name="bench", disk_format="raw", container_format="bare",
                                 visibility="private", os_hidden=True, tags=["a", "b"], **PROPERTIES)
        return self.made[-1]

    def create_thin(self) -> str:
        self.made.append(str(uuid.uuid4()))
        self.thin.create_image(NewImage(
            id=self.made[-1], name="bench", owner=None, visibility="private", protected=False, os_hidden=True,
            disk_format="raw", container_format="bare", min_disk=0, min_ram=0, tags=frozenset(("a", "b")),
            properties=PROPERTIES))
        return self.made[-1]

    def clean(self) -> None:
        for image_id in self.made:
            if self.thin.find_image(image_id, with_members=False):
                self.thin.delete_image(image_id)

    def _read(self, image_id: str) -> None:
        with self.thin.open_data(image_id) as data:
            _drain(data.chunks)


def measure(work: Work, rounds: int) -> tuple[float, float]:
    """Milliseconds of wall clock and of CPU for one round."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(rounds):
        work()
    return (time.perf_counter() - wall) * 1000 / rounds, (time.process_time() - cpu) * 1000 / rounds


def _pieces(block: bytes, count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield from (block[start:start + 65536] for start in range(0, len(block), 65536))


def _drain(chunks: Iterator[bytes]) -> None:
    for _ in chunks:
        continue


if __name__ == "__main__":
    main()
