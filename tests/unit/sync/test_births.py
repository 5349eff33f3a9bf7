# SPDX-License-Identifier: Apache-2.0
"""Images that were made in a cascaded region: from the claim to the copies and the deletion, on Glances in memory."""
from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from glancesync.exceptions import (
    InvalidInputError,
    RegionNotFoundError,
    SnapshotRefusedError,
    SnapshotTimeoutError,
    SourceCorruptError,
    StateConflictError,
    VerificationError,
)
from glancesync.model.birth import BirthClaim, ImageFrom
from glancesync.model.image import Digest, ImageChanges, NewImage
from glancesync.model.replica import ConflictChoice, Origin, ReplicaState
from glancesync.model.task import TaskFilter, TaskState
from glancesync.regions.memory import MemoryRegion
from glancesync.service.conflicts import Chosen
from glancesync.sync.codes import Code
from tests.fixtures.memory_cloud import MemoryCloud

MAPPING = json.dumps([{"source_type": "snapshot", "snapshot_id": "s", "boot_index": 0}])


@pytest.fixture
def cloud(tmp_path: Path) -> MemoryCloud:
    return MemoryCloud(tmp_path)


def queued(glance: MemoryRegion, **fields: object) -> str:
    """An image of the project demo without bytes."""
    image_id = str(fields.pop("id", uuid.uuid4()))
    glance.create_image(NewImage(**{  # type: ignore[arg-type]
        "id": image_id, "name": "snap", "owner": "demo", "visibility": "private", "protected": False,
        "os_hidden": False, "disk_format": "raw", "container_format": "bare", "min_disk": 0, "min_ram": 0,
        "tags": frozenset(), "properties": {}, **fields}))
    return image_id


def claim(cloud: MemoryCloud, image_id: str, origin_id: str, region: str = "Two",
          image_from: ImageFrom = ImageFrom.SNAPSHOT) -> None:
    cloud.service.claim_birth(BirthClaim(image_id=image_id, region=region, origin_id=origin_id, image_from=image_from))


def born(cloud: MemoryCloud, data: bytes = b"snapshot", **fields: object) -> tuple[str, str]:
    """(image, snapshot) of a snapshot that reached everywhere."""
    image_id, origin = queued(cloud.one), cloud.upload(data, region=cloud.two, name="snap", **fields)
    claim(cloud, image_id, origin.id)
    cloud.work()
    cloud.compare()
    return image_id, origin.id


def states(cloud: MemoryCloud, image_id: str) -> dict[str, tuple[str, str]]:
    return {each["region"]: (each["state"], each["reason_code"])
            for each in cloud.service.get_image(image_id)["regions"]}


@pytest.mark.parametrize("same_id", [False, True])
@pytest.mark.parametrize("image_from", ImageFrom)
def test_a_snapshot_fills_its_image_and_reaches_the_others(cloud: MemoryCloud, same_id: bool,
                                                          image_from: ImageFrom) -> None:
    image_id = queued(cloud.one)
    origin = cloud.upload(b"snapshot", region=cloud.two, name="snap", **({"id": image_id} if same_id else {}))
    claim(cloud, image_id, origin.id, image_from=image_from)
    cloud.work()
    cloud.compare()
    assert states(cloud, image_id) == {"Two": ("in_sync", "born_here"), "Three": ("in_sync", "in_sync")}
    assert cloud.one.get_image(image_id).digest == origin.digest == cloud.three.get_image(image_id).digest
    assert cloud.two.get_image(origin.id) == origin
    assert cloud.ids(cloud.two) == {origin.id}
    shown = cloud.service.get_image(origin.id)
    assert shown["id"] == image_id
    assert (shown["birth"]["region"], shown["birth"]["image_id"], shown["birth"]["image_from"]) == (
        "Two", origin.id, image_from.value)
    assert cloud.compare().tasks == 0


@pytest.mark.parametrize(("names", "reached"), [((), True), (("Three",), True), (("Two",), False), (("Else",), False)])
def test_region_names_limit_snapshots_alone(tmp_path: Path, names: tuple[str, ...], reached: bool) -> None:
    cloud = MemoryCloud(tmp_path, sync={"snapshot_region_names": names})
    image_id, _ = born(cloud)
    plain = cloud.upload(b"plain", name="plain")
    cloud.service.hint(plain.id, trigger=cloud.queue.list_tasks(TaskFilter(), 1)[0].trigger, request_id=None)
    cloud.work()
    assert (image_id in cloud.ids(cloud.three)) is reached
    assert plain.id in cloud.ids(cloud.three)
    assert states(cloud, image_id)["Three"] == (("in_sync", "in_sync") if reached else ("unwanted", "not_selected"))


def test_the_wait_ends_and_can_be_begun_again(cloud: MemoryCloud) -> None:
    image_id, origin_id = queued(cloud.one), queued(cloud.two)
    claim(cloud, image_id, origin_id)
    assert cloud.run(image_id).plan.delay_seconds == 10
    assert states(cloud, image_id)["Two"] == ("waiting", "snapshot_not_ready")
    assert cloud.run(image_id, "Three").plan.code == Code.SNAPSHOT_PENDING
    cloud.clock.advance(300)
    with pytest.raises(SnapshotTimeoutError, match="queued after 300 s"):
        cloud.run(image_id)
    assert states(cloud, image_id)["Two"] == ("failed", "snapshot_timeout")
    assert "after 300 s" in cloud.run(image_id, "Three").plan.reason
    assert [pair for pair in cloud.service.plan_all(regions=["Two"]) if pair["image_id"] == image_id] == []
    assert cloud.run(image_id).plan.code == Code.SNAPSHOT_NOT_READY  # whoever asks again begins another wait
    cloud.clock.advance(299)
    assert cloud.run(image_id).plan.code == Code.SNAPSHOT_NOT_READY
    cloud.two.upload_data(origin_id, [b"late"], size=4)
    assert cloud.run(image_id).plan.code == Code.BORN_HERE


def test_a_timeout_is_a_failed_task_and_a_comparison_goes_on_when_the_snapshot_came(cloud: MemoryCloud) -> None:
    image_id, origin_id = queued(cloud.one), queued(cloud.two)
    claim(cloud, image_id, origin_id)
    cloud.clock.advance(301)
    cloud.work()
    failed = cloud.queue.list_tasks(TaskFilter(states=frozenset({TaskState.FAILED})), 10)
    assert [(task.image_id, task.region, task.reason_code) for task in failed] == [
        (image_id, "Two", "snapshot_timeout")]
    cloud.compare()
    assert states(cloud, image_id)["Two"] == ("failed", "snapshot_timeout")
    cloud.two.upload_data(origin_id, [b"late"], size=4)
    cloud.compare()
    assert states(cloud, image_id)["Two"] == ("in_sync", "born_here")


@pytest.mark.parametrize("other", [{"owner": "rival"}, {"owner": None}, {"disk_format": "qcow2"}])
def test_nobody_fills_anothers_image(cloud: MemoryCloud, other: dict[str, object]) -> None:
    image_id, origin = queued(cloud.one), cloud.upload(b"evil", region=cloud.two, **other)
    claim(cloud, image_id, origin.id)
    with pytest.raises(SnapshotRefusedError):
        cloud.run(image_id)
    assert cloud.one.get_image(image_id).status == "queued"
    assert states(cloud, image_id)["Two"] == ("failed", "snapshot_refused")
    cloud.compare()
    assert cloud.one.get_image(image_id).status == "queued"


def test_an_image_without_formats_takes_its_snapshots(cloud: MemoryCloud) -> None:
    image_id = queued(cloud.one, disk_format=None, container_format=None)
    origin = cloud.upload(b"x", region=cloud.two)
    claim(cloud, image_id, origin.id)
    cloud.run(image_id)
    assert cloud.one.get_image(image_id).disk_format == "raw"


def test_wrong_bytes_never_arrive(cloud: MemoryCloud) -> None:
    image_id, origin = queued(cloud.one), cloud.upload(b"bytes of it", region=cloud.two)
    cloud.two.put_image(replace(origin, digest=Digest(algorithm="sha512", value="00" * 64)), b"bytes of it")
    claim(cloud, image_id, origin.id)
    with pytest.raises(SourceCorruptError):
        cloud.run(image_id)
    assert cloud.one.get_image(image_id).status == "queued"


@pytest.mark.parametrize("algorithm", ["sha512", "sha256", None])
def test_bytes_that_changed_on_their_way_are_out_of_reach(cloud: MemoryCloud, monkeypatch: pytest.MonkeyPatch,
                                                          algorithm: str | None) -> None:
    """Also where the cascading Glance hashes with another algorithm than the region of birth, or with none."""
    cloud.one._algorithm = algorithm
    image_id, origin = queued(cloud.one), cloud.upload(b"snapshot", region=cloud.two)
    claim(cloud, image_id, origin.id)
    receive = cloud.one.faults.receive
    monkeypatch.setattr(cloud.one.faults, "receive", lambda chunks: receive(chunks).replace(b"s", b"z"))
    with pytest.raises(VerificationError):
        cloud.run(image_id)
    assert cloud.one.get_image(image_id).status == "deactivated"
    assert cloud.records.births.find_all([image_id])[image_id].filled_at is None


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("algorithm", ["sha512", "sha256", None])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_server_that_ends_before_it_verified_what_it_sent(cloud: MemoryCloud, monkeypatch: pytest.MonkeyPatch, *,
                                                            algorithm: str | None, flipped: bool) -> None:
    """The next run reads it; until then no other region gets it, and wrong bytes end out of reach."""
    cloud.one._algorithm = algorithm
    image_id, origin = queued(cloud.one), cloud.upload(b"snapshot", region=cloud.two)
    claim(cloud, image_id, origin.id)

    def end(*_arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        receive = cloud.one.faults.receive
        if flipped:
            patched.setattr(cloud.one.faults, "receive", lambda chunks: receive(chunks).replace(b"s", b"z"))
        patched.setattr("glancesync.sync.fill.check_copy", end)
        with pytest.raises(Killed):
            cloud.run(image_id)
    assert cloud.one.get_image(image_id).status == "active"
    assert cloud.run(image_id, "Three").plan.code == Code.SNAPSHOT_PENDING
    assert cloud.ids(cloud.three) == set()
    plan = cloud.run(image_id).plan
    assert cloud.one.get_image(image_id).status == ("deactivated" if flipped else "active")
    birth = cloud.records.births.find_all([image_id]).get(image_id)
    assert (birth is None) if flipped else (birth is not None and birth.filled_at is not None)
    if not flipped:
        assert plan.code == Code.BORN_HERE
        assert cloud.run(image_id, "Three").plan.code == Code.IN_SYNC


@pytest.mark.parametrize(("data", "same"), [(b"snapshot", True), (b"snapshoz", False)])
def test_bytes_of_somebody_elses_upload_are_read_and_never_taken_away(cloud: MemoryCloud, *, data: bytes,
                                                                      same: bool) -> None:
    cloud.one._algorithm = "sha256"
    image_id, origin = queued(cloud.one), cloud.upload(b"snapshot", region=cloud.two)
    claim(cloud, image_id, origin.id)
    cloud.one.upload_data(image_id, [data], size=len(data))
    cloud.run(image_id)
    assert cloud.one.get_image(image_id).status == "active"
    assert (image_id in cloud.records.births.find_all([image_id])) is same


def test_a_fill_that_failed_says_nothing_of_what_a_user_uploads_afterwards(cloud: MemoryCloud) -> None:
    image_id, origin = queued(cloud.one), cloud.upload(b"bytes of it", region=cloud.two)
    cloud.two.put_image(replace(origin, digest=Digest(algorithm="sha512", value="00" * 64)), b"bytes of it")
    claim(cloud, image_id, origin.id)
    for _ in range(2):
        with pytest.raises(SourceCorruptError):
            cloud.run(image_id)
    cloud.two.delete_image(origin.id)
    cloud.run(image_id)
    cloud.one.upload_data(image_id, [b"a user's"], size=8)
    cloud.run(image_id)
    assert cloud.one.get_image(image_id).status == "active"


@pytest.mark.parametrize("mapping", [MAPPING, "no json"])
def test_block_devices_cannot_travel(cloud: MemoryCloud, mapping: str) -> None:
    image_id = queued(cloud.one)
    origin = cloud.upload(b"", region=cloud.two, properties={"block_device_mapping": mapping, "bdm_v2": "True"})
    claim(cloud, image_id, origin.id)
    for region in ("Two", "Three"):
        plan = cloud.run(image_id, region).plan
        assert (plan.state, plan.code, plan.delay_seconds) == (
            ReplicaState.CANNOT_TRAVEL, Code.BLOCK_DEVICES_ONLY, None)
    assert cloud.one.get_image(image_id).status == "queued"
    assert cloud.compare().tasks == 0


def test_block_devices_of_the_cascading_region_stay_there(cloud: MemoryCloud) -> None:
    image = cloud.upload(b"", properties={"block_device_mapping": MAPPING})
    plain = cloud.upload(b"", properties={"block_device_mapping": "[]"})
    assert cloud.run(image.id).plan.state is ReplicaState.CANNOT_TRAVEL
    assert cloud.run(plain.id).plan.state is ReplicaState.IN_SYNC


def test_a_replica_without_bytes_that_is_there_follows_its_image(cloud: MemoryCloud) -> None:
    """It was made before such images were told apart."""
    image = cloud.upload(b"", visibility="public")
    cloud.run(image.id)
    changes = ImageChanges(fields={"visibility": "private"}, set_properties={"block_device_mapping": MAPPING})
    cloud.one.update_image(image.id, changes)
    assert cloud.run(image.id).plan.state is ReplicaState.IN_SYNC
    assert cloud.two.get_image(image.id).visibility == "private"


def test_deleted_everywhere_but_where_it_was_born(cloud: MemoryCloud) -> None:
    image_id, origin_id = born(cloud)
    cloud.one.delete_image(image_id)
    cloud.report_removal(image_id)
    cloud.work()
    assert states(cloud, image_id) == {"Two": ("source_missing", "snapshot_kept"), "Three": ("deleted", "deleted")}
    for _ in range(3):
        cloud.clock.advance(200)
        assert cloud.compare().tasks == 0
    claim(cloud, image_id, origin_id)  # a late repetition of the first request
    cloud.work()
    assert cloud.ids(cloud.two) == {origin_id}
    assert cloud.ids(cloud.three) == set()
    assert [each["region"] for each in cloud.service.list_deletions(limit=9, marker=None, filters={})] == ["Three"]


def test_a_snapshot_that_its_region_deletes_is_not_made_again(cloud: MemoryCloud) -> None:
    image_id, origin_id = born(cloud)
    cloud.two.delete_image(origin_id)
    cloud.compare()
    assert states(cloud, image_id) == {"Two": ("unwanted", "snapshot_gone"), "Three": ("in_sync", "in_sync")}
    assert cloud.ids(cloud.two) == set()


def test_a_false_claim_about_a_whole_image_is_dropped(cloud: MemoryCloud) -> None:
    image, other = cloud.upload(b"real", name="a"), cloud.upload(b"other", region=cloud.two, name="b")
    claim(cloud, image.id, other.id)
    cloud.work()
    assert cloud.two.get_image(image.id).digest == image.digest
    assert cloud.service.get_image(image.id)["birth"] is None
    assert cloud.record(image.id).origin is Origin.CREATED
    assert cloud.two.get_image(other.id) == other


def test_claims_that_contradict_what_is_known(cloud: MemoryCloud) -> None:
    image_id, origin_id = born(cloud)
    other = cloud.upload(b"more", region=cloud.two)
    with pytest.raises(StateConflictError, match="cannot have been made from another"):
        claim(cloud, image_id, other.id)
    with pytest.raises(StateConflictError, match="stands for image"):
        claim(cloud, queued(cloud.one), origin_id)
    with pytest.raises(StateConflictError, match="has a replica"):
        claim(cloud, _copied(cloud), other.id)
    with pytest.raises(RegionNotFoundError):
        claim(cloud, image_id, origin_id, "Nowhere")
    with pytest.raises(InvalidInputError):
        claim(cloud, image_id, origin_id, "One")


def _copied(cloud: MemoryCloud) -> str:
    image = cloud.upload(b"copied")
    cloud.run(image.id)
    return image.id


def test_a_claim_may_be_corrected_while_nothing_was_filled(cloud: MemoryCloud) -> None:
    image_id, right = queued(cloud.one), cloud.upload(b"right", region=cloud.three)
    claim(cloud, image_id, str(uuid.uuid4()))
    cloud.run(image_id)
    claim(cloud, image_id, right.id, "Three")
    assert cloud.run(image_id, "Three").plan.code == Code.BORN_HERE
    assert cloud.run(image_id, "Two").plan.state is ReplicaState.IN_SYNC
    assert cloud.ids(cloud.two) == {image_id}


def test_a_restart_between_the_bytes_and_their_note_changes_nothing(cloud: MemoryCloud) -> None:
    image_id, origin = queued(cloud.one), cloud.upload(b"snapshot", region=cloud.two)
    claim(cloud, image_id, origin.id)
    cloud.one.upload_data(image_id, [b"snapshot"], size=8)
    cloud.restart()
    assert cloud.run(image_id).plan.code == Code.BORN_HERE
    assert cloud.service.get_image(image_id)["birth"]["filled_at"] is not None


def test_an_operators_choice_about_a_namesake_never_reaches_a_snapshot(cloud: MemoryCloud) -> None:
    image_id, origin_id = born(cloud)
    taken = cloud.upload(b"another", id=origin_id, name="snap")
    cloud.run(taken.id)
    record = cloud.record(taken.id)
    assert record.state is ReplicaState.CONFLICT
    with pytest.raises(StateConflictError, match="made from"):
        cloud.service.choose(taken.id, "Two", Chosen(choice=ConflictChoice.REPLACE, stranger_id=None, user_id=None,
                                                     request_id=None))
    cloud.compare()
    assert origin_id in cloud.ids(cloud.two)
    assert states(cloud, image_id)["Two"] == ("in_sync", "born_here")


# -- kernel_id and ramdisk_id ----------------------------------------------------------------------------------------

def _kernel(cloud: MemoryCloud, *, moved: bool) -> tuple[str, str]:
    """(kernel, its replica in Two)."""
    if moved:
        burned = str(uuid.uuid4())
        cloud.upload(b"old", region=cloud.two, id=burned)
        cloud.two.delete_image(burned)
    kernel = cloud.upload(b"kernel", **({"id": burned} if moved else {}))
    for region in ("Two", "Three"):
        cloud.run(kernel.id, region)
    replica_id = cloud.record(kernel.id).replica_id
    assert replica_id is not None
    assert (replica_id != kernel.id) is moved
    return kernel.id, replica_id


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("name", ["kernel_id", "ramdisk_id"])
def test_references_point_at_replicas(cloud: MemoryCloud, name: str, moved: bool) -> None:
    kernel_id, replica_id = _kernel(cloud, moved=moved)
    base = str(uuid.uuid4())
    image = cloud.upload(b"image", properties={name: kernel_id, "base_image_ref": base})
    for region in ("Two", "Three"):
        assert cloud.run(image.id, region).plan.state is ReplicaState.IN_SYNC
    assert cloud.two.get_image(image.id).properties == {name: replica_id, "base_image_ref": base}
    assert cloud.three.get_image(image.id).properties == {name: kernel_id, "base_image_ref": base}
    assert cloud.compare().tasks == 0


def test_a_reference_that_is_not_there_yet_is_waited_for(cloud: MemoryCloud) -> None:
    kernel = cloud.upload(b"kernel")
    image = cloud.upload(b"image", properties={"kernel_id": kernel.id})
    plan = cloud.run(image.id).plan
    assert (plan.code, plan.delay_seconds) == (Code.AWAITS_REFERENCE, 1)
    assert kernel.id in plan.reason
    cloud.run(kernel.id)
    assert cloud.run(image.id).plan.state is ReplicaState.IN_SYNC


@pytest.mark.parametrize("value", ["6a1f1c9e-5c0d-4c0a-9b5e-0d3c2f4b7a10", "no id", ""])
def test_a_reference_to_nothing_is_kept(cloud: MemoryCloud, value: str) -> None:
    image = cloud.upload(b"image", properties={"kernel_id": value})
    assert cloud.run(image.id).plan.state is ReplicaState.IN_SYNC
    assert cloud.two.get_image(image.id).properties["kernel_id"] == value


def test_an_image_that_names_itself_does_not_wait_for_itself(cloud: MemoryCloud) -> None:
    image_id = str(uuid.uuid4())
    cloud.upload(b"image", id=image_id, properties={"kernel_id": image_id})
    assert cloud.run(image_id).plan.state is ReplicaState.IN_SYNC


def test_a_snapshot_names_its_kernel_as_its_own_region_does(cloud: MemoryCloud) -> None:
    kernel_id, replica_id = _kernel(cloud, moved=True)
    image_id = queued(cloud.one, properties={"kernel_id": replica_id})
    origin = cloud.upload(b"snapshot", region=cloud.two, properties={"kernel_id": replica_id})
    claim(cloud, image_id, origin.id)
    cloud.run(image_id)
    assert cloud.run(image_id, "Three").plan.state is ReplicaState.IN_SYNC
    assert cloud.three.get_image(image_id).properties == {"kernel_id": kernel_id}
