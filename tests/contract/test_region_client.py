# SPDX-License-Identifier: Apache-2.0
"""What glancesync.regions.client promises, held against every implementation: the twin in memory and a real Glance."""
from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from glancesync.exceptions import (
    IdBurnedError,
    ImageNotFoundError,
    LeaseLostError,
    MemberNotFoundError,
    RegionConflictError,
    RegionForbiddenError,
    RegionRejectedError,
    TransferError,
)
from glancesync.model.image import Digest, Image, ImageChanges, Member
from glancesync.regions.client import RegionClient
from glancesync.regions.glance import GlanceRegion
from glancesync.regions.memory import MemoryRegion
from tests.contract.region_worlds import World, a_new_image, glance_world, memory_world
from tests.fixtures.polling import eventually

ODD_NAMES = ("a/b", "t~x", "~1", "a//b", "/lead", "trail/", "with space", "ключ", "x" * 255, "self-ish", "constructor",
             "os_hash_mine", "next")


def _real(request: pytest.FixtureRequest) -> World:
    lab, images = request.getfixturevalue("lab"), request.getfixturevalue("images")
    region = lab.cascaded_regions[0]
    client = GlanceRegion(
        region_name=region, endpoint=lab.endpoint(region), connect_timeout_seconds=5, read_timeout_seconds=30,
        session=request.getfixturevalue("session_of")("glance-sync"), idle_timeout_seconds=30)
    return glance_world(client, images("demo", region), images("admin", region),
                        (lab.cascading_region, images("demo")))


@pytest.fixture(params=["memory", pytest.param("glance", marks=pytest.mark.lab)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = memory_world() if request.param == "memory" else _real(request)
    yield made
    made.clean()


@pytest.fixture
def client(world: World) -> RegionClient:
    return world.client


class TestReading:
    def test_an_image_shows_what_it_was_created_with(self, world: World) -> None:
        new = a_new_image(properties=dict.fromkeys(ODD_NAMES, "välue"), tags=frozenset({"ä", "b"}), name="näme")
        made = world.create(**vars(new))

        seen = world.client.get_image(new.id)

        assert {name: getattr(seen, name) for name in vars(new) if name != "owner"} == {
            name: value for name, value in vars(new).items() if name != "owner"}
        assert (seen.status, seen.size, seen.digest, seen.checksum, seen.importing) == (
            "queued", None, None, None, False)
        assert seen.owner
        assert seen.created_at is not None
        assert replace(seen, members=None) == made

    def test_members_are_read_when_shared_and_asked_for(self, world: World) -> None:
        image = world.create()
        world.client.add_member(image.id, "project-b")
        world.client.add_member(image.id, "project-a")

        assert world.client.get_image(image.id).members == (
            Member(member_id="project-a", status="pending"), Member(member_id="project-b", status="pending"))
        assert world.client.get_image(image.id, with_members=False).members is None

    def test_an_image_that_is_not_shared_has_none(self, world: World) -> None:
        assert world.client.get_image(world.create(visibility="private").id).members is None

    def test_what_is_not_there(self, client: RegionClient) -> None:
        with pytest.raises(ImageNotFoundError) as caught:
            client.get_image(str(uuid.uuid4()))
        assert client.region_name in str(caught.value)
        assert caught.value.request_id
        assert client.find_image(str(uuid.uuid4())) is None

    def test_find_gives_what_get_gives(self, world: World) -> None:
        image = world.create()
        assert world.client.find_image(image.id) == world.client.get_image(image.id)


class TestListing:
    @pytest.mark.parametrize("page_size", [1, 3, 200])
    def test_everything_of_everybody_in_order(self, world: World, page_size: int) -> None:
        foreign = {world.make_foreign(visibility, False)
                   for visibility in ("private", "shared", "community", "public")}
        own = world.create_active().id
        hidden = {world.create(os_hidden=True).id, world.make_foreign("private", True)}

        shown = [image.id for image in world.client.list_images(hidden=False, page_size=page_size)]

        assert foreign | {own} <= set(shown)
        assert not hidden & set(shown)
        assert shown == sorted(set(shown))
        assert hidden <= {image.id for image in world.client.list_images(hidden=True, page_size=page_size)}

    def test_a_listed_image_is_complete_but_for_members(self, world: World) -> None:
        image = world.create_active(properties={"a/b": "c"})
        listed = {found.id: found for found in world.client.list_images(hidden=False)}
        assert listed[image.id] == replace(image, members=None)

    def test_it_is_lazy(self, world: World) -> None:
        first, second = sorted(world.create(os_hidden=True).id for _ in range(2))
        ids = (image.id for image in world.client.list_images(hidden=True, page_size=1) if image.id in (first, second))
        assert next(ids) == first
        world.client.delete_image(second)
        assert next(ids, None) is None


class TestNamesakes:
    @pytest.mark.parametrize("name", ["plain", "in:a,b", 'in:"quoted", too', "a:b", "2026-01-31T12:00:00Z", "ключ %&+"])
    def test_exactly_the_images_of_this_name_and_owner(self, world: World, name: str) -> None:
        name = f"{name} {uuid.uuid4()}"
        first = world.create(name=name, owner="one")
        second = world.create_active(name=name, owner="one", visibility="private")
        for other in ({"name": name.upper(), "owner": "one"}, {"name": f"{name} ", "owner": "one"},
                      {"name": name, "owner": "two"}, {"name": name, "owner": "one", "os_hidden": True}):
            world.create(**other)

        found = {image.id: image for image in world.client.list_namesakes(name, "one")}

        assert found == {image.id: replace(image, members=None) for image in (first, second)}

    def test_none(self, client: RegionClient) -> None:
        assert list(client.list_namesakes(f"{uuid.uuid4()}", "nobody")) == []


class TestCreating:
    def test_an_id_in_use(self, world: World) -> None:
        image = world.create()
        with pytest.raises(RegionConflictError) as caught:
            world.client.create_image(a_new_image(id=image.id))
        assert not isinstance(caught.value, IdBurnedError)

    def test_an_id_that_was_deleted(self, world: World) -> None:
        image = world.create()
        world.client.delete_image(image.id)
        with pytest.raises(IdBurnedError):
            world.client.create_image(a_new_image(id=image.id))

    def test_for_another_owner(self, world: World) -> None:
        assert world.create(owner="somebody", visibility="private").owner == "somebody"

    @pytest.mark.parametrize("wrong", [{"id": "no-id"}, {"visibility": "bogus"}, {"properties": {"x" * 256: "v"}},
                                       {"min_disk": -1}])
    def test_what_no_glance_takes(self, client: RegionClient, wrong: dict[str, object]) -> None:
        with pytest.raises(RegionRejectedError):
            client.create_image(a_new_image(**wrong))


class TestUpdating:
    def test_every_field_of_an_active_image(self, world: World) -> None:
        image = world.create_active()
        fields = {"name": None, "owner": "other", "visibility": "community", "protected": True, "os_hidden": True,
                  "min_disk": 7, "min_ram": 8, "tags": frozenset({"two", "drei"})}

        answer = world.client.update_image(image.id, ImageChanges(fields=fields))

        assert {name: getattr(answer, name) for name in fields} == fields
        assert replace(world.client.get_image(image.id), updated_at=None) == replace(answer, updated_at=None)

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_properties_are_added_replaced_removed(self, world: World, name: str) -> None:
        image_id = world.create(properties={"kept": "k"}).id
        for value in ("first", "second", ""):
            world.client.update_image(image_id, ImageChanges(set_properties={name: value}))
            assert world.client.get_image(image_id).properties == {"kept": "k", name: value}
        world.client.update_image(image_id, ImageChanges(remove_properties=(name,)))
        assert world.client.get_image(image_id).properties == {"kept": "k"}

    @pytest.mark.parametrize("name", ["image_id", "delete", "extra_properties", " padded "])
    def test_a_property_that_patch_cannot_reach(self, world: World, name: str) -> None:
        image = world.create(properties={name: "as created"})
        with pytest.raises(RegionRejectedError):
            world.client.update_image(image.id, ImageChanges(fields={"name": "n"}, set_properties={name: "x"}))
        assert replace(world.client.get_image(image.id), members=None) == image

    def test_formats_change_while_queued_only(self, world: World) -> None:
        changes = ImageChanges(fields={"disk_format": "qcow2", "container_format": "ovf"})
        assert world.client.update_image(world.create().id, changes).disk_format == "qcow2"
        with pytest.raises(RegionForbiddenError):
            world.client.update_image(world.create_active().id, changes)

    def test_a_property_that_is_not_there_cannot_be_removed(self, world: World) -> None:
        with pytest.raises(RegionConflictError):
            world.client.update_image(world.create().id, ImageChanges(remove_properties=("nothing",)))

    def test_what_is_not_there(self, client: RegionClient) -> None:
        with pytest.raises(ImageNotFoundError):
            client.update_image(str(uuid.uuid4()), ImageChanges(fields={"name": "x"}))


class TestDeleting:
    def test_it_is_gone(self, world: World) -> None:
        image = world.create_active()
        world.client.delete_image(image.id)
        assert world.client.find_image(image.id) is None
        with pytest.raises(ImageNotFoundError):
            world.client.delete_image(image.id)

    def test_protected(self, world: World) -> None:
        image = world.create(protected=True)
        with pytest.raises(RegionForbiddenError):
            world.client.delete_image(image.id)
        assert world.client.find_image(image.id) is not None


class TestActivity:
    def test_deactivate_and_back_each_may_be_repeated(self, world: World) -> None:
        image = world.create_active(b"data")
        for _ in range(2):
            world.client.deactivate_image(image.id)
            assert world.client.get_image(image.id).status == "deactivated"
        with world.client.open_data(image.id) as data:
            assert b"".join(data.chunks) == b"data"
        for _ in range(2):
            world.client.reactivate_image(image.id)
            assert world.client.get_image(image.id).status == "active"

    def test_not_while_queued(self, world: World) -> None:
        image = world.create()
        for call in (world.client.deactivate_image, world.client.reactivate_image):
            with pytest.raises(RegionForbiddenError):
                call(image.id)

    def test_what_is_not_there(self, client: RegionClient) -> None:
        for call in (client.deactivate_image, client.reactivate_image):
            with pytest.raises(ImageNotFoundError):
                call(str(uuid.uuid4()))


class TestMembers:
    def test_added_changed_removed_each_may_be_repeated(self, world: World) -> None:
        client, image_id = world.client, world.create().id
        for _ in range(2):
            client.add_member(image_id, "project")
            assert client.list_members(image_id) == (Member(member_id="project", status="pending"),)
        for status in ("accepted", "rejected", "pending", "accepted"):
            client.set_member_status(image_id, "project", status)
            assert client.list_members(image_id) == (Member(member_id="project", status=status),)
        client.add_member(image_id, "project")
        assert client.list_members(image_id) == (Member(member_id="project", status="accepted"),)
        for _ in range(2):
            client.remove_member(image_id, "project")
            assert client.list_members(image_id) == ()

    def test_they_outlive_a_change_of_visibility(self, world: World) -> None:
        client, image_id = world.client, world.create().id
        client.add_member(image_id, "project")
        client.update_image(image_id, ImageChanges(fields={"visibility": "private"}))
        for call in (lambda: client.list_members(image_id), lambda: client.add_member(image_id, "other"),
                     lambda: client.remove_member(image_id, "project"),
                     lambda: client.set_member_status(image_id, "project", "accepted")):
            with pytest.raises(RegionForbiddenError):
                call()
        client.update_image(image_id, ImageChanges(fields={"visibility": "shared"}))
        assert client.list_members(image_id) == (Member(member_id="project", status="pending"),)

    def test_status_of_no_member_and_no_status(self, world: World) -> None:
        image_id = world.create().id
        with pytest.raises(MemberNotFoundError):
            world.client.set_member_status(image_id, "nobody", "accepted")
        world.client.add_member(image_id, "project")
        with pytest.raises(RegionRejectedError):
            world.client.set_member_status(image_id, "project", "bogus")

    def test_of_an_image_that_is_not_there(self, client: RegionClient) -> None:
        gone = str(uuid.uuid4())
        calls: list[Callable[[], object]] = [
            lambda: client.list_members(gone), lambda: client.add_member(gone, "m"),
            lambda: client.remove_member(gone, "m"), lambda: client.set_member_status(gone, "m", "accepted")]
        for call in calls:
            with pytest.raises(ImageNotFoundError):
                call()


def _fill(client: RegionClient, image_id: str, data: bytes) -> bool:
    try:
        client.upload_data(image_id, [data], size=len(data))
    except RegionConflictError:
        return False
    return True


class TestData:
    def test_what_goes_up_comes_down(self, world: World) -> None:
        chunks = [bytes([number]) * 70_000 for number in range(5)]
        whole = b"".join(chunks)
        image = world.create()
        world.client.upload_data(image.id, iter(chunks), size=len(whole))

        seen = world.client.get_image(image.id)
        assert (seen.status, seen.size) == ("active", len(whole))
        assert seen.digest == Digest(algorithm="sha512", value=hashlib.sha512(whole).hexdigest())
        assert seen.checksum == hashlib.md5(whole, usedforsecurity=False).hexdigest()
        with world.client.open_data(image.id, chunk_bytes=1000) as data:
            got = list(data.chunks)
        assert data.size == len(whole)
        assert b"".join(got) == whole
        assert {len(chunk) for chunk in got} == {1000}

    def test_a_size_need_not_be_known(self, world: World) -> None:
        image = world.create()
        world.client.upload_data(image.id, [b"abc"], size=None)
        assert world.client.get_image(image.id).size == 3

    @pytest.mark.parametrize("announced", [2, 4])
    def test_an_announced_size_is_kept_to(self, world: World, announced: int) -> None:
        image = world.create()
        with pytest.raises(RegionRejectedError):
            world.client.upload_data(image.id, [b"abc"], size=announced)
        eventually(lambda: world.client.get_image(image.id).status == "queued")

    def test_no_bytes_at_all(self, world: World) -> None:
        image = world.create_active(b"")
        assert (image.status, image.size) == ("active", 0)
        with world.client.open_data(image.id) as data:
            assert (data.size, list(data.chunks)) == (0, [])

    def test_none_yet(self, world: World) -> None:
        for image_id in (world.create().id, str(uuid.uuid4())):
            with pytest.raises(ImageNotFoundError), world.client.open_data(image_id):
                pytest.fail("there was nothing to open")

    def test_leaving_early(self, world: World) -> None:
        image = world.create_active(b"x" * 500_000)
        with world.client.open_data(image.id, chunk_bytes=1000) as data:
            assert next(iter(data.chunks)) == b"x" * 1000
        assert world.client.get_image(image.id).status == "active"

    @pytest.mark.parametrize("error", [
        LeaseLostError("lost"), TransferError("another's"), BrokenPipeError("source"), ConnectionResetError("source"),
        TimeoutError("source"), ValueError("odd"), KeyboardInterrupt()])
    @pytest.mark.parametrize("before", [0, 3])
    def test_an_error_out_of_the_chunks_aborts(self, world: World, error: BaseException, before: int) -> None:
        image = world.create()

        def chunks() -> Iterator[bytes]:
            for _ in range(before):
                yield b"z" * 100_000
            raise error

        with pytest.raises(type(error)) as caught:
            world.client.upload_data(image.id, chunks(), size=before * 100_000)
        assert caught.value is error
        eventually(lambda: _fill(world.client, image.id, b"right"), what="Glance noticed that the upload broke off")
        assert world.client.get_image(image.id).digest == Digest(algorithm="sha512",
                                                                 value=hashlib.sha512(b"right").hexdigest())

    def test_an_image_that_takes_no_data(self, world: World) -> None:
        image = world.create_active()
        given: list[int] = []

        def endless() -> Iterator[bytes]:
            for number in range(2000):
                given.append(number)
                yield b"y" * 100_000

        with pytest.raises(RegionConflictError):
            world.client.upload_data(image.id, endless(), size=200_000_000)
        assert len(given) < 1000
        assert world.client.get_image(image.id) == image

    def test_an_image_that_is_not_there(self, client: RegionClient) -> None:
        with pytest.raises(ImageNotFoundError):
            client.upload_data(str(uuid.uuid4()), [b"x"], size=1)

    def test_an_image_deleted_meanwhile(self, world: World) -> None:
        image = world.create()

        def chunks() -> Iterator[bytes]:
            yield b"a" * 100_000
            world.client.delete_image(image.id)
            yield b"b" * 100_000

        with pytest.raises((RegionConflictError, ImageNotFoundError)):
            world.client.upload_data(image.id, chunks(), size=None)
        assert world.client.find_image(image.id) is None


class TestLocations:
    URL = "http://127.0.0.1:9/nothing"
    DIGEST = Digest(algorithm="sha512", value="ab" * 64)

    def test_those_of_an_image_without_bytes(self, world: World) -> None:
        assert world.client.list_locations(world.create().id) == ()

    def test_those_of_an_image_that_is_not_there(self, client: RegionClient) -> None:
        with pytest.raises(ImageNotFoundError):
            client.list_locations(str(uuid.uuid4()))

    def test_one_that_the_glance_has_no_store_for(self, world: World) -> None:
        """It stays queued, and takes its bytes as any other."""
        if isinstance(world.client, MemoryRegion):
            world.client.takes_locations = False
        image = world.create()
        try:
            world.client.add_location(image.id, self.URL, self.DIGEST)
        except (RegionRejectedError, RegionForbiddenError, RegionConflictError):
            pass

        def free() -> bool:
            seen = world.client.get_image(image.id)
            return (seen.status, seen.locked) == ("queued", False)

        eventually(free, 30, what="it is queued and free again")
        world.client.upload_data(image.id, [b"bytes"], size=5)
        assert world.client.get_image(image.id).status == "active"

    def test_one_for_an_image_with_bytes(self, world: World) -> None:
        image = world.create()
        world.client.upload_data(image.id, [b"bytes"], size=5)
        with pytest.raises(RegionConflictError):
            world.client.add_location(image.id, self.URL, self.DIGEST)


class TestImports:
    def test_a_glance_fetches_from_another_region(self, world: World) -> None:
        source = world.peer_image(b"bytes of another region")
        image = world.create(visibility="private", os_hidden=True)
        world.client.import_from_region(image.id, world.peer, source.id, interface="public")

        done = eventually(lambda: _rested(world, image.id), 30, what="it came to its end")

        assert (done.status, done.size, done.digest) == ("active", source.size, source.digest)
        assert not done.hash_is_claim
        assert (done.visibility, done.os_hidden, done.name) == ("private", True, image.name)
        assert done.properties == {**image.properties, **done.properties}
        assert [task.status for task in world.client.list_import_tasks(image.id)] == ["success"]
        with pytest.raises(RegionConflictError):
            world.client.import_from_region(image.id, world.peer, source.id, interface="public")

    def test_what_cannot_be_fetched_leaves_a_queued_image(self, world: World) -> None:
        image = world.create()
        world.client.import_from_region(image.id, world.peer, str(uuid.uuid4()), interface="public")

        done = eventually(lambda: _rested(world, image.id), 30, what="it came to its end")

        assert (done.status, done.size) == ("queued", None)
        task = world.client.list_import_tasks(image.id)[-1]
        assert (task.status, task.is_live) == ("failure", False)
        world.client.upload_data(image.id, [b"x"], size=1)
        assert world.client.get_image(image.id).status == "active"

    def test_of_an_image_that_is_not_there(self, world: World) -> None:
        gone = str(uuid.uuid4())
        with pytest.raises(ImageNotFoundError):
            world.client.list_import_tasks(gone)
        with pytest.raises(ImageNotFoundError):
            world.client.import_from_region(gone, world.peer, gone, interface="public")


def _rested(world: World, image_id: str) -> Image:
    image = world.client.get_image(image_id, with_members=False)
    tasks = world.client.list_import_tasks(image_id)
    assert not image.locked
    assert not any(task.is_live for task in tasks)
    return image


class TestFacts:
    def test_a_glance_tells_what_it_takes_and_where_it_puts_it(self, client: RegionClient) -> None:
        facts = client.get_facts()

        assert {"glance-download", "copy-image"} <= (facts.import_methods or set())
        assert {"raw", "qcow2"} <= (facts.disk_formats or set())
        assert {"bare", "ovf"} <= (facts.container_formats or set())
        store = facts.find_store("file")
        assert store is not None
        assert (store.id, store.is_default) == ("local", True)
        assert facts.find_store("rbd") is None
        assert facts.quotas == {}
