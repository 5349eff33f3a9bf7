# SPDX-License-Identifier: Apache-2.0
"""An image of every kind, from its upload over a change of everything to its removal."""
from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.image_kinds import HASHES, KINDS, change_kinds, make_kinds, set_column
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MainJob, counterparts, forget_everything, lose_outbox
from tests.fixtures.polling import eventually

pytestmark = pytest.mark.lab


def test_images_from_before_the_first_start(job: MainJob, lab: Lab, sync_server: SyncServer, images: ImagesOf,
                                            project_ids: dict[str, str]) -> None:
    sync_server.stop()
    forget_everything(sync_server)
    made = make_kinds(images, project_ids, lab)
    lose_outbox(lab)
    sync_server.bring_up()
    _assert_whole_life(job, lab, images, made, project_ids)
    assert {run["trigger"] for run in job.runs(made["1 MiB"], "RegionTwo")} >= {"reconcile", "event"}


def test_images_that_are_made_while_it_runs(job: MainJob, lab: Lab, images: ImagesOf,
                                            project_ids: dict[str, str]) -> None:
    made = make_kinds(images, project_ids, lab)
    _assert_whole_life(job, lab, images, made, project_ids)
    assert {run["trigger"] for run in job.runs(made["1 MiB"], "RegionTwo")} == {"event"}


def _assert_whole_life(job: MainJob, lab: Lab, images: ImagesOf, made: Mapping[str, str],
                       project_ids: Mapping[str, str]) -> None:
    for image_id in made.values():
        job.wait_for(image_id)
    _give_hashes_back(lab, images, made)
    job.converge()
    _assert_digests_are_verified(job, lab, images, made)
    change_kinds(made, images, project_ids)
    job.converge()
    for image_id in made.values():
        images("admin").ensure_deleted(image_id)
    eventually(lambda: not any(_replicas(lab, images, made)), 60, what="every replica is gone")
    job.converge()
    for image_id in made.values():
        job.wait_for(image_id, "deleted")


def _give_hashes_back(lab: Lab, images: ImagesOf, made: Mapping[str, str]) -> None:
    """What the cascading Glance computed at the upload, which the judge compares with the replicas' own."""
    for kind in KINDS:
        if kind.unhashed:
            record = images("admin", "RegionTwo").get(made[kind.name])
            for column, value in zip((*HASHES, "checksum"), ("sha512", record["os_hash_value"], record["checksum"]),
                                     strict=True):
                set_column(lab, made[kind.name], column, value)


def _assert_digests_are_verified(job: MainJob, lab: Lab, images: ImagesOf, made: Mapping[str, str]) -> None:
    for image_id in made.values():
        record = images("admin").get(image_id)
        for view in job.wait_for(image_id).values():
            assert view["digest"] == {"algorithm": record["os_hash_algo"], "value": record["os_hash_value"]}
            assert (view["replica_id"], view["origin"], view["id_reason"]) == (image_id, "created", None)
            assert view["bytes_done"] == view["bytes_total"] == record["size"]
            assert view["verified_at"]
            assert view["lag_seconds"] is not None


def _replicas(lab: Lab, images: ImagesOf, made: Mapping[str, str]) -> list[Callable[..., object] | object]:
    return [record for image_id in made.values() for record in counterparts(lab, images, image_id).values()]
