# SPDX-License-Identifier: Apache-2.0
"""What a comparison costs that finds nothing, for each image and region. Used by the scale benchmark.

The Glances are in memory and in this process: what is left is the server's own work, without HTTP and JSON. All regions
show the same objects, so that the memory is the server's.
"""
from __future__ import annotations

import gc
import resource
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from glancesync.db.schema import replicas
from glancesync.regions.memory import MemoryRegion
from glancesync.sync.findings import PassReport
from tests.benchmark.rounds import clocked
from tests.benchmark.scale_load import Load
from tests.fixtures import memory_cloud
from tests.fixtures.fake_cloud import image_ids
from tests.fixtures.memory_cloud import SERVICE, MemoryCloud

_LIST_PAGE_SIZE = 200


def no_change_pass(folder: Path, regions: int, images: int) -> tuple[object, ...]:
    """A row: regions, images, pairs, seconds, microseconds for each pair, peak RSS."""
    memory_cloud.PAGE_SIZE = _LIST_PAGE_SIZE
    cloud = MemoryCloud(Path(tempfile.mkdtemp(dir=folder)))
    names = [f"Region{number:04}" for number in range(regions)]
    first, *others = image_ids(images)
    example = cloud.upload(id=first)
    cloud.directory.regions = {"One": cloud.directory.regions["One"], **{
        name: (f"http://{name.lower()}", MemoryRegion(name, project_id=SERVICE, clock=cloud.clock)) for name in names}}
    cloud.compare()  # makes the canaries, and the example everywhere
    for name, (_endpoint, region) in cloud.directory.regions.items():
        shown = region.get_image(example.id)
        region._images.update({image_id: replace(shown, id=image_id, members=None) if name == "One" else shown_as(
            cloud, image_id) for image_id in others})
    load_records(cloud, names, images, example.id)
    cloud.compare()
    report = PassReport()
    gc.collect()
    seconds = clocked(lambda: cloud.service.reconcile(report))
    found = sum(each.findings for each in report.regions.values())
    if found or report.images != images or len(report.regions) != regions:
        raise RuntimeError(f"the comparison was none without a difference: {found} findings, {report.images} images")
    cloud.database.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return regions, images, f"{regions * images:,}", f"{seconds:.2f}", \
        f"{1e6 * seconds / (regions * images):.0f}", f"{peak:.0f}"


def shown_as(cloud: MemoryCloud, image_id: str) -> Any:
    """The replica is shown as its image is."""
    return cloud.one._images[image_id]


def load_records(cloud: MemoryCloud, names: list[str], images: int, example_id: str) -> None:
    """Of every pair the record that the example's real run left."""
    def take_example(connection: sa.Connection) -> dict[str, Any]:
        row = connection.execute(sa.select(replicas).where(
            replicas.c.image_id == example_id, replicas.c.region == names[0])).mappings().one()
        for table in ("tasks", "replicas", "images"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
        return {name: value for name, value in row.items() if name not in ("image_id", "region", "replica_id")
                and value is not None}

    Load(cloud.database, names, cloud.database.run(take_example)).bring_to(images)
