# SPDX-License-Identifier: Apache-2.0
"""The original's route for locations: what is taken from it, and what is refused without a trace."""
from __future__ import annotations

from typing import Any

import pytest

from glancesync.model.birth import BirthClaim, ImageFrom
from tests.unit.api.fakes import OTHER_IMAGE, OWN_IMAGE, Caller, FakeService, error_of

PATH = f"/v1/images/{OWN_IMAGE}/location"
SNAPSHOT = f"http://two/v2/images/{OTHER_IMAGE}"


def _insert(*locations: Any) -> dict[str, Any]:
    return {"action": "INSERT", "locations": list(locations)}


@pytest.mark.parametrize(("location", "region", "origin_id", "image_from"), [
    ({"url": SNAPSHOT, "metadata": {"image_from": "snapshot"}}, "RegionTwo", OTHER_IMAGE, ImageFrom.SNAPSHOT),
    ({"url": SNAPSHOT + "/", "metadata": {"image_from": "VOLUME"}}, "RegionTwo", OTHER_IMAGE, ImageFrom.VOLUME),
    ({"url": "http://elsewhere/x", "metadata": {"image_from": "snapshot", "region": "R", "image_id": OTHER_IMAGE}},
     "R", OTHER_IMAGE, ImageFrom.SNAPSHOT),
    ({"url": SNAPSHOT, "metadata": {"image_from": "snapshot", "image_id": OWN_IMAGE}}, "RegionTwo", OWN_IMAGE,
     ImageFrom.SNAPSHOT),
])
def test_a_birth_is_handed_on(admin: Caller, service: FakeService, location: Any, region: str, origin_id: str,
                              image_from: ImageFrom) -> None:
    answer = admin("PUT", PATH, _insert(location))
    assert answer.status_int == 202
    assert answer.json["tasks"][0]["id"]
    [(name, given)] = service.calls
    claim: BirthClaim = given["claim"]
    assert name == "claim_birth"
    assert claim.request_id is not None
    assert (claim.image_id, claim.region, claim.origin_id, claim.image_from) == (OWN_IMAGE, region, origin_id,
                                                                                 image_from)


@pytest.mark.parametrize("body", [
    _insert(), _insert({"url": SNAPSHOT, "metadata": {}}), _insert(SNAPSHOT),
    {"action": "INSERT"}, {"action": "CLEAR", "locations": [{"url": SNAPSHOT, "metadata": {"image_from": "snapshot"}}]},
    {"action": "DELETE", "locations": ["file:///etc/passwd"]},
])
def test_everything_else_is_a_hint(admin: Caller, service: FakeService, body: Any) -> None:
    assert admin("PUT", PATH, body).status_int == 202
    assert [name for name, _ in service.calls] == ["hint"]


@pytest.mark.parametrize("locations", [[{"url": "https://elsewhere/x"}], [SNAPSHOT, "http://elsewhere/x"]])
def test_an_external_url_is_noted(admin: Caller, service: FakeService, locations: Any) -> None:
    assert admin("PUT", PATH, _insert(*locations)).status_int == 202
    assert [name for name, _ in service.calls] == ["mark_located"]


@pytest.mark.parametrize(("locations", "sentence"), [
    ([{"url": "file:///etc/passwd"}], "http or https"),
    (["cinder://volume"], "http or https"),
    (["http:///path"], "http or https"),
    (["http://[::1/x"], "cannot be read"),
    (["https://user:hunter2@host/x"], "user name or password"),
    ([{"url": "http://host/x"}, "ftp://host/x"], "http or https"),
    ([{"url": SNAPSHOT, "metadata": {"image_from": "thin air"}}], "image_from must be one of snapshot, volume"),
    ([{"url": SNAPSHOT, "metadata": {"image_from": ["snapshot"]}}], "image_from must be one of"),
    ([{"url": f"http://elsewhere/{OTHER_IMAGE}", "metadata": {"image_from": "snapshot"}}], "no cascaded region's"),
    ([{"url": SNAPSHOT, "metadata": {"image_from": "snapshot", "region": 7}}], "no cascaded region's"),
    ([{"url": "http://two/v2/images/x", "metadata": {"image_from": "snapshot"}}], "'x' is not an image id"),
    ([{"url": SNAPSHOT, "metadata": {"image_from": "snapshot", "image_id": 7}}], "not an image id"),
    ([{"url": SNAPSHOT, "metadata": {"image_from": "snapshot"}}] * 2, "only one location"),
])
def test_what_is_refused(admin: Caller, service: FakeService, locations: Any, sentence: str) -> None:
    answer = admin("PUT", PATH, _insert(*locations))
    assert answer.status_int == 400
    assert service.calls == []
    assert sentence in error_of(answer)["message"]
    assert "hunter2" not in answer.text
