# SPDX-License-Identifier: Apache-2.0
"""Why a region would not take an image, from what is known of it."""
from __future__ import annotations

import pytest

from glancesync.model.facts import GlanceFacts, QuotaFact
from glancesync.model.image import Image
from glancesync.sync.obstacles import Readiness, find_obstacle

GIB = 2 ** 30
IMAGE = Image(id="i", status="active", size=GIB, disk_format="qcow2", container_format="bare")


def ready(free=None, most=0, **facts):
    return Readiness(region="Two", facts=GlanceFacts(**facts), free_bytes=free, max_image_bytes=most)


def quota(name, used, limit):
    return {"quotas": {name: QuotaFact(used=used, limit=limit)}}


@pytest.mark.parametrize("known", [
    {}, {"most": GIB}, {"free": 2 * GIB}, {"disk_formats": frozenset({"qcow2"})},
    {"container_formats": frozenset({"bare"})}, quota("image_size_total", GIB, 2 * GIB),
    quota("image_size_total", GIB, None), quota("image_count_total", 4, 5), quota("image_stage_total", 9, 0)])
def test_nothing_is_known_against_it(known):
    assert find_obstacle(IMAGE, ready(**known)) is None


@pytest.mark.parametrize(("known", "code", "reason"), [
    ({"most": GIB - 1}, "image_too_large", "lets 1073741823 pass"),
    ({"free": GIB}, "store_space_short", "1073741824 bytes are free where Two keeps"),
    ({"free": 0}, "store_space_short", "0 bytes are free"),
    ({"disk_formats": frozenset({"raw", "iso"})}, "format_not_enabled", "Two takes no disk format qcow2, but iso, raw"),
    ({"container_formats": frozenset({"ova"})}, "format_not_enabled", "no container format bare"),
    (quota("image_size_total", GIB + 1, 2 * GIB), "quota_short", "gives our project 2147483648 of image_size_total"),
    (quota("image_count_total", 5, 5), "quota_short", "5 are used and 1 would be added"),
    (quota("image_count_uploading", 1, 1), "quota_short", "image_count_uploading")])
def test_each_obstacle_has_a_code_and_its_figures(known, code, reason):
    found = find_obstacle(IMAGE, ready(**known))
    assert found.code == code
    assert reason in found.reason
