# SPDX-License-Identifier: Apache-2.0
"""What a Glance tells of itself, and what no Glance tells."""
from __future__ import annotations

import pytest

from glancesync.model.facts import QuotaFact, StoreFact
from glancesync.regions import facts
from glancesync.regions.glance_json import MalformedError


def test_what_a_glance_tells() -> None:
    assert facts.parse_import_methods({"import-methods": {"value": ["a", "b"]}}) == {"a", "b"}
    assert facts.parse_formats({"properties": {"disk_format": {"enum": [None, "raw"]}, "container_format": {}}}) == (
        {"raw"}, None)
    assert facts.parse_stores({"stores": [{"id": "fast", "type": "rbd", "default": "true"}, {"id": "web"}]}) == (
        StoreFact(id="fast", kind="rbd", is_default=True), StoreFact(id="web"))
    assert facts.parse_usage({"usage": {"image_size_total": {"usage": 1, "limit": 2},
                                        "image_count_total": {"usage": 3, "limit": -1}}}) == {
        "image_size_total": QuotaFact(used=2 ** 20, limit=2 ** 21), "image_count_total": QuotaFact(used=3, limit=None)}


@pytest.mark.parametrize(("parse", "data"), [
    (facts.parse_import_methods, []), (facts.parse_import_methods, {"import-methods": {"value": [1]}}),
    (facts.parse_formats, None), (facts.parse_formats, {"properties": {"disk_format": {"enum": "raw"}}}),
    (facts.parse_formats, {"properties": {"disk_format": 5}}), (facts.parse_stores, {"stores": {}}),
    (facts.parse_stores, {"stores": ["x"]}), (facts.parse_usage, {"usage": {"x": {"usage": "1", "limit": 2}}}),
    (facts.parse_usage, {"usage": {"x": 1}})])
def test_what_no_glance_tells(parse, data) -> None:
    with pytest.raises(MalformedError):
        parse(data)
