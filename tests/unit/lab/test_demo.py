# SPDX-License-Identifier: Apache-2.0
"""The parts of the demo: its images, and how it words what the server says."""
from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from keystoneauth1 import exceptions
from oslo_utils.imageutils import format_inspector
from rich.console import Console

from glancesync.lab.demo_changes import CHANGES, pending_changes
from glancesync.lab.demo_images import MIB, demo_images, empty_qcow2, random_bytes
from glancesync.lab.demo_view import ProgressView, describe, describe_result, result_table
from glancesync.lab.errors import LabError
from glancesync.lab.sync_state import ImageState, ReplicaState, SyncState

COPYING = ReplicaState(region="RegionTwo", state="copying", reason=None, bytes_done=30, bytes_total=100,
                       replica_id="i1", digest=None, verified_at=None, lag_seconds=None,
                       rate_bytes_per_second=3.0 * MIB)
IN_SYNC = replace(COPYING, state="in_sync", bytes_done=100, digest="ab" * 64, lag_seconds=1.25,
                  verified_at="2026-01-31T12:00:00Z")


def test_qcow2_is_what_glance_calls_a_safe_qcow2() -> None:
    wrapper = format_inspector.InspectWrapper(io.BytesIO(empty_qcow2(1024 * MIB)))
    while wrapper.read(65536):
        pass
    wrapper.close()
    assert str(wrapper.format) == "qcow2"
    assert wrapper.format.virtual_size == 1024 * MIB
    wrapper.format.safety_check()


def test_random_bytes_have_the_size_and_differ() -> None:
    generate = random_bytes(MIB + 5)
    first, second = b"".join(generate()), b"".join(generate())
    assert len(first) == len(second) == MIB + 5
    assert first != second


def test_changes_name_images_of_the_demo() -> None:
    users = {image.name: image.user for image in demo_images()}
    for change in CHANGES:
        assert change.user in (users[change.image], "admin")
    ids = {name: f"id of {name}" for name in users}
    pending = pending_changes(ids, ("RegionTwo", "RegionThree"), dict.fromkeys((c.title for c in CHANGES), 1.0))
    assert len(pending) == 2 * len(CHANGES)


@pytest.mark.parametrize(("replica", "text"), [
    (None, "-"),
    (COPYING, "███░░░░░░░  30 % 3 MiB/s"),
    (replace(COPYING, bytes_total=None, rate_bytes_per_second=None), "░░░░░░░░░░   0 %"),
    (replace(COPYING, state="failed", reason="403 from Glance"), "failed: 403 from Glance"),
    (replace(COPYING, state="waiting"), "waiting"),
])
def test_cell_of_progress(replica: ReplicaState | None, text: str) -> None:
    assert describe(replica) == text


def test_cell_of_result() -> None:
    assert describe_result(IN_SYNC) == "abababababab…, lag 1.2 s, 3 MiB/s"
    assert describe_result(COPYING) == describe(COPYING)


def test_plain_output_has_a_line_for_each_step_and_no_more() -> None:
    output = io.StringIO()
    view = ProgressView(Console(file=output, width=120), ["RegionTwo"])
    with view.watching():
        for done in (0, 5, 30, 33, 100):
            view.show({"i1": "[b]odd[/b]"}, {"i1": _image(replace(COPYING, bytes_done=done))})
        view.show({"i1": "[b]odd[/b]"}, {"i1": _image(IN_SYNC)})
    lines = output.getvalue().splitlines()
    assert len(lines) == 4
    assert all("[b]odd[/b]" in line for line in lines)
    assert lines[-1].endswith("in_sync")


def test_result_table_shows_images_that_the_server_does_not_know() -> None:
    output = io.StringIO()
    Console(file=output, width=120).print(result_table({"i1": "one", "i2": "two"}, {"i1": _image(IN_SYNC)},
                                                       ["RegionTwo", "RegionThree"]))
    assert "abababababab…" in output.getvalue()
    assert "two" in output.getvalue()


def _image(replica: ReplicaState) -> ImageState:
    return ImageState(id="i1", name="one", replicas={replica.region: replica})


def test_in_sync_means_every_region() -> None:
    assert _image(IN_SYNC).is_in_sync(["RegionTwo"])
    assert not _image(IN_SYNC).is_in_sync(["RegionTwo", "RegionThree"])
    assert not _image(COPYING).is_in_sync(["RegionTwo"])


class _Answer:
    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def json(self) -> dict[str, Any]:
        return self._body


class _Pages:
    """Stands for a keystoneauth1 session: pages by URL."""

    def __init__(self, pages: dict[str, dict[str, Any]]) -> None:
        self._pages = pages

    def get(self, url: str) -> _Answer:
        if url not in self._pages:
            raise exceptions.NotFound(url)
        return _Answer(self._pages[url])


def test_server_state_is_read_page_by_page() -> None:
    region = {"region": "RegionTwo", "state": "in_sync", "bytes_done": 1, "bytes_total": 1, "replica_id": "i2",
              "digest": {"algorithm": "sha512", "value": "ab"}, "reason": None, "verified_at": None,
              "lag_seconds": 0.5, "rate_bytes_per_second": None}
    pages = {
        "http://s/v1/images?limit=200": {"images": [{"id": "i1", "name": "one", "regions": []}], "next": "/v1/more"},
        "http://s/v1/more": {"images": [{"id": "i2", "name": "two", "regions": [region]},
                                        {"id": "other", "name": "x", "regions": []}], "next": None},
    }
    states = SyncState(_Pages(pages), "http://s").read({"i1", "i2"})  # type: ignore[arg-type]
    assert states.keys() == {"i1", "i2"}
    assert states["i2"].replicas["RegionTwo"].digest == "ab"
    assert states["i1"].replicas == {}


def test_server_that_does_not_answer_is_named() -> None:
    with pytest.raises(LabError, match="http://s/v1/images"):
        SyncState(_Pages({}), "http://s").read(())  # type: ignore[arg-type]
