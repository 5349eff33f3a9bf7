# SPDX-License-Identifier: Apache-2.0
"""Random histories of one image in one region, in memory: whatever fails, and wherever a run dies, the replica ends up
as its image, and is out of everybody's reach until its bytes are right."""
from __future__ import annotations

import shutil
import uuid
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from glancesync.concurrency import Gathering, Place
from glancesync.conf.deletion import DeletionSettings
from glancesync.conf.sync import SyncSettings
from glancesync.conf.transfer import TransferSettings
from glancesync.db.engine import Database
from glancesync.exceptions import (
    GlanceSyncError,
    LeaseLostError,
    RegionConflictError,
    RegionUnavailableError,
    TransferError,
)
from glancesync.model.event import Event, Operation
from glancesync.model.image import ImageChanges, NewImage
from glancesync.model.region import Region
from glancesync.model.task import Task, TaskState, Trigger
from glancesync.regions.memory import MemoryRegion
from glancesync.service.events import store_events
from glancesync.sync.context import SyncContext
from glancesync.sync.converge import Converger
from glancesync.sync.execute import Executor
from glancesync.sync.records import ReplicaRecords
from glancesync.sync.sight import RegionSight
from glancesync.sync.tee import Tee
from glancesync.sync.trust import CANARY_NAME, SourceTrust
from tests.fixtures.clocks import MovingClock
from tests.fixtures.memory_cloud import new_chooser

SERVICE = "service"
SYNC = SyncSettings(sync_strategy="ALL", cascading_region="One", cascading_endpoint_url=None, transient_property=None,
                    catalog_refresh_seconds=60, replica_saving_timeout_seconds=10, source_poll_seconds=1,
                    max_restores=1000)
METHODS = ["get_image", "create_image", "update_image", "delete_image", "deactivate_image", "reactivate_image",
           "list_members", "add_member", "set_member_status", "remove_member", "open_data", "upload_data"]
ERRORS = [RegionUnavailableError("503"), RegionConflictError("409"), TransferError("cut off")]


class Killed(BaseException):
    """The process died here."""


class Directory:
    def __init__(self, source, target):
        self.clients = {"One": source, "Two": target}

    def cascading(self):
        return Region(name="One", endpoint="http://one", cascading=True)

    def cascaded(self):
        return [Region(name="Two", endpoint="http://two")]

    def client(self, name):
        return self.clients[name]


class Handle:
    """Dies or loses its lease at the given look."""

    def __init__(self, *, end_at=None, end=None, trigger=Trigger.EVENT):
        self.gathering = Place(Gathering(1))
        self.task = Task(id="t", image_id="i", region="Two", state=TaskState.RUNNING, trigger=trigger, wanted=1, seen=1,
                         priority=0, run_at=0, attempts=0, created_at=0, updated_at=0)
        self.looks, self.end_at, self.end = 0, end_at, end
        self.bytes_done = None

    def check(self):
        pass

    def ensure_lease(self):
        self.looks += 1
        if self.looks == self.end_at:
            raise self.end

    def report(self, **progress):
        self.bytes_done = progress.get("bytes_done", self.bytes_done)


class History(RuleBasedStateMachine):
    template = None  # path of a database with its tables, made once
    folder = None

    def __init__(self):
        super().__init__()
        path = self.folder / f"{uuid.uuid4().hex}.db"
        shutil.copy(self.template, path)
        self.clock = MovingClock()
        self.source = MemoryRegion("One", project_id=SERVICE, clock=self.clock)
        self.target = MemoryRegion("Two", project_id=SERVICE, clock=self.clock)
        self.database = Database(f"sqlite:///{path}")
        directory = Directory(self.source, self.target)
        trust = SourceTrust(database=self.database, directory=directory, settings=DeletionSettings(max_deletes=10 ** 6),
                            clock=self.clock)
        trust.prepare()
        self.records = ReplicaRecords(self.database, self.clock)
        sight = RegionSight(database=self.database, trust=trust, directory=directory, settings=SYNC,
                            clock=self.clock)
        context = SyncContext(directory=directory, records=self.records, trust=trust, sight=sight, settings=SYNC,
                              clock=self.clock, chooser=new_chooser(SYNC, self.clock),
                              service_project_id=lambda: SERVICE)
        executor = Executor(records=self.records, trust=trust, sight=sight, clock=self.clock,
                            new_id=lambda: str(uuid.uuid4()),
                            tee=Tee(TransferSettings(chunk_bytes=4, buffer_bytes=65536, tee_gather_seconds=0.01)))
        self.converger = Converger(context, executor)
        self.image_id = str(uuid.uuid4())
        self.source.create_image(NewImage(
            id=self.image_id, name="first", owner="demo", visibility="shared", protected=False, os_hidden=False,
            disk_format="raw", container_format="bare", min_disk=0, min_ram=0, tags=frozenset(), properties={"a": "1"}))

    # -- users of the cascading region ---------------------------------------------------------------------------

    def there(self):
        return self.source.find_image(self.image_id) is not None

    def filled(self):
        image = self.source.find_image(self.image_id)
        return image is not None and image.has_bytes

    @precondition(lambda self: self.there() and not self.filled())
    @rule(data=st.binary(max_size=20))
    def upload(self, data):
        self.source.upload_data(self.image_id, [data] if data else [], size=len(data))

    @precondition(there)
    @rule(fields=st.fixed_dictionaries({}, optional={
        "name": st.none() | st.sampled_from("xyz"), "visibility": st.sampled_from(["private", "shared", "public"]),
        "protected": st.booleans(), "os_hidden": st.booleans(), "owner": st.sampled_from(["demo", "rival"]),
        "tags": st.frozensets(st.sampled_from("tu")), "min_ram": st.integers(0, 1)}),
        properties=st.dictionaries(st.sampled_from("ab"), st.sampled_from("12")))
    def update(self, fields, properties):
        old = set(self.source.get_image(self.image_id).properties)
        self.source.update_image(self.image_id, ImageChanges(
            fields=fields, set_properties=properties, remove_properties=tuple(old - set(properties))))

    @precondition(lambda self: self.there() and self.source.get_image(self.image_id).visibility == "shared")
    @rule(member=st.sampled_from("mn"), status=st.sampled_from(["pending", "accepted", "rejected", None]))
    def share(self, member, status):
        if status is None:
            self.source.remove_member(self.image_id, member)
        else:
            self.source.add_member(self.image_id, member)
            self.source.set_member_status(self.image_id, member, status)

    @precondition(filled)
    @rule(active=st.booleans())
    def activate(self, active):
        (self.source.reactivate_image if active else self.source.deactivate_image)(self.image_id)

    @precondition(there)
    @rule()
    def delete(self):
        self.source.update_image(self.image_id, ImageChanges(fields={"protected": False}))
        self.source.delete_image(self.image_id)
        event = Event(id=uuid.uuid4().hex, operation=Operation.REMOVE, image_id=self.image_id, at=self.clock.now())
        self.database.run(store_events, [event], self.clock.now())

    # -- somebody in the cascaded region -------------------------------------------------------------------------

    def replica(self):
        known = self.records.read(self.image_id, "Two").replica
        found = self.target.find_image(known.replica_id if known and known.replica_id else self.image_id)
        return found if found and known and known.origin else None

    @precondition(lambda self: self.replica() is not None)
    @rule(fields=st.fixed_dictionaries({}, optional={
        "name": st.just("meddled"), "visibility": st.sampled_from(["private", "shared", "public"]),
        "protected": st.booleans(), "os_hidden": st.booleans()}))
    def meddle(self, fields):
        self.target.update_image(self.replica().id, ImageChanges(fields=fields, set_properties={"z": "meddled"}))

    @precondition(lambda self: self.replica() is not None and not self.replica().protected)
    @rule()
    def meddle_delete(self):
        self.target.delete_image(self.replica().id)

    @precondition(lambda self: self.replica() is not None and self.replica().status == "queued")
    @rule()
    def target_died_in_mid_upload(self):
        self.target.put_image(replace(self.target.get_image(self.replica().id), status="saving"))

    @rule(seconds=st.sampled_from([1, 20, 200]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    # -- runs ----------------------------------------------------------------------------------------------------

    @rule()
    def run(self):
        self.run_with(Handle())

    @rule(method=st.sampled_from(METHODS), on_target=st.booleans(), error=st.sampled_from(ERRORS),
          after_effect=st.booleans())
    def run_with_fault(self, method, on_target, error, after_effect):
        client = self.target if on_target else self.source
        client.fail_next(method, error, after_effect=after_effect)
        self.run_with(Handle())
        client.faults.__init__()  # what did not come up is no fault of a later run

    @rule(after_bytes=st.integers(0, 10), on_target=st.booleans())
    def run_with_broken_stream(self, after_bytes, on_target):
        client, method = (self.target, "upload_data") if on_target else (self.source, "open_data")
        client.faults.break_stream(method, after_bytes, TransferError("cut off"))
        self.run_with(Handle())
        client.faults.__init__()

    @rule(look=st.integers(1, 5), end=st.sampled_from([Killed(), LeaseLostError("lost")]))
    def run_that_dies(self, look, end):
        self.run_with(Handle(end_at=look, end=end))

    def run_with(self, handle):
        handle.begun_at = self.clock.monotonic()
        try:
            return self.converger.converge(self.image_id, "Two", handle)
        except (GlanceSyncError, Killed):
            return None

    # -- what must be true ---------------------------------------------------------------------------------------

    @invariant()
    def nobody_reaches_wrong_bytes(self):
        replica = self.replica()
        if replica is not None and replica.owner != SERVICE and self.filled():
            assert self.target.data(replica.id) == self.source.data(self.image_id)

    def teardown(self):
        for _ in range(30):
            self.clock.advance(100)
            ended = self.run_with(Handle())
            if ended is not None and ended.plan.delay_seconds is None:
                break
        self.compare()
        self.database.close()

    def compare(self):
        source, replica = self.source.find_image(self.image_id), self.replica()
        if source is None:
            assert replica is None
        elif source.has_bytes:
            assert replica is not None
            assert self.target.data(replica.id) == self.source.data(self.image_id)
            neutral = {"id": "", "created_at": None, "updated_at": None, "members": None}
            assert replace(replica, **neutral) == replace(source, **neutral)
            assert (replica.members or ()) == (source.members or ())
        for hidden in (False, True):
            for image in self.target.list_images(hidden=hidden):
                if image.name == CANARY_NAME:
                    continue
                assert replica is not None
                assert image.id == replica.id, "an image that nobody answers for was left behind"


@pytest.fixture
def histories(tmp_path):
    History.folder, History.template = tmp_path, tmp_path / "template.db"
    database = Database(f"sqlite:///{History.template}")
    database.sync()
    database.close()
    return History


def test_histories(histories):
    run_state_machine_as_test(histories, settings=settings(
        max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)))
