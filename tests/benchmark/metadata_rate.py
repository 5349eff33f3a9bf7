# SPDX-License-Identifier: Apache-2.0
"""Many small images to two regions: glancesync against creating and changing them in both Glances directly.

    python -m tests.benchmark.metadata_rate [--quick] [--rounds 2] [--images 300] [--lab-dir DIR]

Each image has ten properties, two tags, Glance's default visibility and one KiB. The direct requests go to both Glances
at once, four at a time each, as the sync server's own do ([worker] max_tasks_per_region). glancesync's time runs from
POST /v1/sync to the last replica that its API calls in sync: reading the source, creation out of reach, bytes, their
proof, revealing, the final look and every record in its database are in it. Changes are measured with a third of them.
"""
from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from glancesync.lab.images import Images
from tests.benchmark.clouds import Cloud, add_lab_options, side_glance, standing_cloud
from tests.benchmark.rounds import Results, Row, Sample, interleave, new_parser, parse, print_table

AT_ONCE = 4
FIELDS: dict[str, Any] = {f"property_{number}": "value" for number in range(10)} | {"tags": ["red", "blue"]}
BYTES = b"\x5a" * 1024
POSTS, WHOLE, PATCHES, PRODUCT = "POST alone", "POST and PUT", "PATCH", "glancesync"
#: One request, or what belongs to one image, in the region whose `Images` it is given.
Request = Callable[[Images, str], object]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser(__doc__, rounds=2, quick_rounds=2)
    parser.add_argument("--images", type=int)
    add_lab_options(parser)
    options = parse(parser, arguments)
    count = options.images or (6 if options.quick else 300)
    with standing_cloud(options) as cloud, side_glance(cloud.lab, "source", filtered=False) as quiet:
        Bench(cloud, Images(cloud.admin, quiet.url), count).run(options.rounds)


class Bench:
    """`source` writes to the cascading region without the filter, so that nothing is copied before it is asked for."""

    def __init__(self, cloud: Cloud, source: Images, count: int) -> None:
        self._cloud = cloud
        self._source = source
        self._count = count
        self._synced: list[str] = []

    def run(self, rounds: int) -> None:
        title = f"{self._count} images of 1 KiB to {len(self._cloud.targets)} regions"
        results = interleave({POSTS: partial(self._direct, post), WHOLE: partial(self._direct, post_and_put),
                              PRODUCT: self._product}, rounds)
        print_table(f"Creating {title}", HEADER, [self._row(results, side, base) for side, base in (
            (POSTS, POSTS), (WHOLE, POSTS), (PRODUCT, POSTS), (PRODUCT, WHOLE))])
        self._print_parts(results, f"Creating {title}")
        self._count = max(2, self._count // 3)
        title = f"{self._count} images of 1 KiB to {len(self._cloud.targets)} regions"
        results = interleave({PATCHES: self._direct_change, PRODUCT: self._product_change}, rounds)
        print_table(f"Changing name and a property of {title}", HEADER,
                    [self._row(results, side, PATCHES) for side in (PATCHES, PRODUCT)])
        self._print_parts(results, f"Changing {title}")

    def _print_parts(self, results: Results, title: str) -> None:
        """For one image in one region, so that what a request costs can be told from how many there are."""
        parts, share = ("server", "Glances", "Keystone", "own"), 1000 / self._count / len(self._cloud.targets)
        print_table(f"{title}: CPU milliseconds of each by process", ("who", *parts), [
            (name, *(f"{results.values(name, f'cpu {part}').median * share:.0f}" for part in parts))
            for name in results.sides])

    def _row(self, results: Results, side: str, base: str) -> Row:
        seconds = results.values(side, "seconds")
        return (side, seconds.text(), f"{self._count / seconds.median:.0f}",
                f"{results.ratio(side, base, 'seconds').text()} of {base}",
                results.ratio(side, base, "cpu").text())

    def _direct(self, request: Request) -> Sample:
        return self._cloud.measured(lambda: self._in_both(request, new_ids(self._count)))

    def _product(self) -> Sample:
        self._synced = new_ids(self._count)
        in_parallel([partial(post_and_put, self._source, image_id) for image_id in self._synced])
        return self._sync()

    def _direct_change(self) -> Sample:
        ids = new_ids(self._count)
        self._in_both(post_and_put, ids)
        return self._cloud.measured(lambda: self._in_both(change, ids))

    def _product_change(self) -> Sample:
        self._synced = self._synced[:self._count]
        in_parallel([partial(change, self._source, image_id) for image_id in self._synced])
        return self._sync()

    def _sync(self) -> Sample:
        ended: list[float] = []

        def sync() -> None:
            self._cloud.sync(self._synced)
            ended.append(self._cloud.wait_synced(self._synced, 600))

        started = time.time()
        return {**self._cloud.measured(sync), "seconds": ended[0] - started}

    def _in_both(self, request: Request, ids: Sequence[str]) -> None:
        regions = [self._cloud.images(region) for region in self._cloud.targets]
        with ThreadPoolExecutor(len(regions)) as pool:
            list(pool.map(lambda images: in_parallel([partial(request, images, image_id) for image_id in ids]),
                          regions))


HEADER = ("who", "seconds: median (spread)", "images/s", "ratio (spread)", "CPU ratio, all processes")


def new_ids(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


def post(images: Images, image_id: str) -> None:
    images.create(id=image_id, name=f"benchmark {image_id}", **FIELDS)


def post_and_put(images: Images, image_id: str) -> None:
    post(images, image_id)
    images.upload(image_id, BYTES)


def change(images: Images, image_id: str) -> None:
    images.set(image_id, name=f"changed {uuid.uuid4()}", property_0=str(uuid.uuid4()))


def in_parallel(steps: Sequence[Callable[[], object]]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(step) for step in steps]:
            done.result()


if __name__ == "__main__":
    main()
