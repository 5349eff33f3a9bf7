# SPDX-License-Identifier: Apache-2.0
"""The windowed comparison finds what a naive one finds, whatever the page size."""
from __future__ import annotations

import itertools
import uuid
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancesync.clock import ManualClock
from glancesync.conf.sync import SyncSettings
from glancesync.exceptions import RegionUnavailableError
from glancesync.model.image import Image, Member
from glancesync.model.region import Region
from glancesync.model.replica import Origin, ReplicaRecord, ReplicaState
from glancesync.regions.memory import MemoryRegion
from glancesync.sync import reconcile
from glancesync.sync.context import SyncContext
from glancesync.sync.findings import PassReport
from glancesync.sync.guard import Trust
from glancesync.sync.reconcile import Reconciler
from tests.fixtures.memory_cloud import new_chooser

SYNC = SyncSettings(sync_strategy="ALL", cascading_region="One", cascading_endpoint_url=None, transient_property=None,
                    catalog_refresh_seconds=60, replica_saving_timeout_seconds=10, source_poll_seconds=1,
                    max_restores=5)
IDS = [str(uuid.UUID(int=number)) for number in range(1, 9)]
CANARY = str(uuid.UUID(int=99))
RENAMED = {image_id: str(uuid.UUID(int=1000 - number)) for number, image_id in enumerate(IDS)}


class Directory:
    def __init__(self, clients):
        self.clients = clients

    def cascading(self):
        return Region(name="One", endpoint="http://one", cascading=True)

    def cascaded(self):
        return [Region(name=name, endpoint=f"http://{name}") for name in sorted(self.clients) if name != "One"]

    def client(self, name):
        return self.clients[name]


class Records:
    def __init__(self, rows):
        self.rows = rows
        self.births = self

    def find_all(self, _image_ids):
        return {}

    def iterate(self, region, *, after=""):
        return iter(sorted((row for row in self.rows if row.region == region and row.image_id > after),
                           key=lambda row: row.image_id))

    def find_by_replica(self, region, replica_ids):
        return {row.replica_id: row for row in self.rows if row.region == region and row.replica_id in replica_ids}


class SeesAll:
    def peek(self, _region):
        return None

    look = peek

    def canary_ids(self, _region):
        return frozenset()


class KnownSource:
    delete_adopted = False

    def canary_id(self):
        return CANARY

    def look(self):
        return Trust()


def reconciler(clients, rows, page_size):
    return Reconciler(SyncContext(
        directory=Directory(clients), records=Records(rows), settings=SYNC, clock=ManualClock(), trust=KnownSource(),
        chooser=new_chooser(SYNC, ManualClock()),
        sight=SeesAll(), service_project_id=lambda: "service", page_size=page_size))


def image(image_id, **changes):
    return replace(Image(id=image_id, status="active", name="n", owner="demo", visibility="private"), **changes)


#: What may be true of one image in one region.
CASES = ("absent", "same", "differs", "missing", "renamed", "renamed, differs", "surplus", "surplus, known", "foreign",
         "shared", "shared, members differ", "hidden", "queued")


def put(case, image_id, source, target):
    """Make the case true; (the row, whether it is a finding)."""
    row = ReplicaRecord(image_id=image_id, region="Two", replica_id=image_id, origin=Origin.CREATED,
                        state=ReplicaState.IN_SYNC)
    shared = image(image_id, visibility="shared", members=(Member(member_id="m", status="accepted"),))
    shown = {"hidden": image(image_id, os_hidden=True), "shared": shared, "shared, members differ": shared}.get(
        case, image(image_id))
    if case == "queued":
        source.put_image(replace(shown, status="queued"))
        return None, False
    if case not in ("absent", "surplus", "surplus, known", "foreign"):
        source.put_image(shown, b"bytes")
    if case.startswith("renamed"):
        row, shown = replace(row, replica_id=RENAMED[image_id]), replace(shown, id=RENAMED[image_id])
    if case.endswith("members differ"):
        shown = replace(shown, members=(Member(member_id="m", status="rejected"),))
    elif case.endswith("differs"):
        shown = replace(shown, name="other")
    if case not in ("absent", "missing"):
        target.put_image(shown, b"bytes")
    if case == "surplus, known":
        row = replace(row, state=ReplicaState.SOURCE_MISSING)
    found = case in ("differs", "missing", "renamed, differs", "surplus", "shared, members differ")
    return None if case in ("absent", "foreign") else row, found


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(CASES), min_size=len(IDS), max_size=len(IDS)), st.integers(1, 10))
def test_finds_what_stands_out(cases, page_size):
    source, target = MemoryRegion("One"), MemoryRegion("Two")
    source.put_image(image(CANARY, status="queued", os_hidden=True))
    made = {image_id: put(case, image_id, source, target) for image_id, case in zip(IDS, cases, strict=True)}
    report = PassReport()
    findings = list(reconciler({"One": source, "Two": target}, [row for row, _ in made.values() if row],
                               page_size).compare(report))
    assert sorted(each.image_id for each in findings if each.run) == [key for key, (_, found) in made.items() if found]
    assert sorted(each.image_id for each in findings if each.missing) == [
        key for key, case in zip(IDS, cases, strict=True) if case.startswith("surplus")]
    foreign = [key for key, case in zip(IDS, cases, strict=True) if case == "foreign"]
    assert [(each.image_id, each.plan.code) for each in findings if each.foreign] == [
        (image_id, "foreign") for image_id in foreign]
    assert (report.complete, report.regions["Two"].foreign, report.regions["Two"].foreign_ids) == (
        True, len(foreign), foreign)
    assert report.images == sum(case not in ("absent", "surplus", "surplus, known", "foreign") for case in cases)


def test_a_report_keeps_the_first_foreign_ids_and_counts_all(monkeypatch):
    monkeypatch.setattr(reconcile, "FOREIGN_TOLD", 3)
    target = MemoryRegion("Two")
    for image_id in IDS:
        target.put_image(image(image_id), b"bytes")
    report = PassReport()
    findings = list(reconciler({"One": MemoryRegion("One"), "Two": target}, [], 2).compare(report))
    assert [each.image_id for each in findings] == IDS, "a dry run shows them all"
    assert (report.regions["Two"].foreign, report.regions["Two"].foreign_ids) == (len(IDS), IDS[:3])


def test_a_source_that_fails_in_the_middle_ends_the_pass():
    source, target = MemoryRegion("One"), MemoryRegion("Two")
    for image_id in IDS:
        source.put_image(image(image_id), b"bytes")
        target.put_image(image(image_id), b"bytes")
    rows = [ReplicaRecord(image_id=key, region="Two", replica_id=key, origin=Origin.CREATED) for key in IDS]
    report = PassReport()
    comparison = reconciler({"One": source, "Two": target}, rows, 2).compare(report)
    assert list(itertools.islice(comparison, 1))
    source.fail_next("list_images", RegionUnavailableError("503"))
    with pytest.raises(RegionUnavailableError):
        list(comparison)
    assert not report.complete


def test_a_source_without_the_canary_is_not_complete():
    report = PassReport()
    list(reconciler({"One": MemoryRegion("One"), "Two": MemoryRegion("Two")}, [], 2).compare(report))
    assert not report.complete


def test_a_region_that_fails_leaves_the_others_alone():
    source, two, three = MemoryRegion("One"), MemoryRegion("Two"), MemoryRegion("Three")
    for image_id in IDS:
        source.put_image(image(image_id), b"bytes")
    two.fail_next("list_images", RegionUnavailableError("503"))
    report = PassReport()
    findings = list(reconciler({"One": source, "Two": two, "Three": three}, [], 3).compare(report))
    assert {each.region for each in findings} == {"Three"}
    assert len(findings) == len(IDS)
    assert report.compared_regions() == ["Three"]
    assert "503" in report.regions["Two"].error


def test_the_source_is_listed_once_for_all_regions():
    source = MemoryRegion("One")
    regions = {name: MemoryRegion(name) for name in ("Two", "Three", "Four")}
    for image_id in IDS:
        source.put_image(image(image_id), b"bytes")
    list(reconciler({"One": source, **regions}, [], 4).compare(PassReport()))
    assert source.faults.calls.count("list_images") == 3 + 1  # two full pages, an empty one; one for the hidden
