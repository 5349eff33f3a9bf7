# SPDX-License-Identifier: Apache-2.0
"""What a Glance tells of itself: the part of a RegionClient that asks, how a real one is asked, and its JSON."""
from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from glancesync.exceptions import (
    ImageNotFoundError,
    RegionAnswerError,
    RegionForbiddenError,
    RegionRejectedError,
)
from glancesync.model.facts import GlanceFacts, QuotaFact, StoreFact
from glancesync.regions.glance_json import MalformedError

Found = TypeVar("Found")
#: An older Glance, a policy, a Glance with one store: it does not tell.
_SILENT = (RegionAnswerError, RegionForbiddenError, RegionRejectedError, ImageNotFoundError)
_MIB = 2 ** 20
#: In MiB; the others count images.
_SIZES = frozenset({"image_size_total", "image_stage_total"})


class FactsClient(abc.ABC):
    """Raises as RegionClient does."""

    @abc.abstractmethod
    def get_facts(self) -> GlanceFacts:
        """A few requests, for whoever keeps the answer. What the Glance does not tell, or not us, is None."""


class GlanceFactsReader(FactsClient):
    """The part of a GlanceRegion."""

    _ask: Callable[..., Any]

    def get_facts(self) -> GlanceFacts:
        formats = self._tell("/v2/schemas/image", parse_formats) or (None, None)
        stores = self._tell("/v2/info/stores/detail", parse_stores)
        return GlanceFacts(
            import_methods=self._tell("/v2/info/import", parse_import_methods), disk_formats=formats[0],
            container_formats=formats[1], stores=stores or self._tell("/v2/info/stores", parse_stores),
            quotas=self._tell("/v2/info/usage", parse_usage) or {})

    def _tell(self, path: str, parse: Callable[[Any], Found]) -> Found | None:
        with contextlib.suppress(*_SILENT):
            found: Found = self._ask("GET", path, parse)
            return found
        return None


def parse_import_methods(data: Any) -> frozenset[str]:
    return _strings(_dict(_dict(data).get("import-methods")).get("value"))


def parse_formats(data: Any) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """(disk formats, container formats) that a schema enumerates."""
    properties = _dict(_dict(data).get("properties"))
    found = [_dict(properties.get(name, {})).get("enum") for name in ("disk_format", "container_format")]
    one, two = (None if each is None else _strings(_without_null(each)) for each in found)
    return one, two


def parse_stores(data: Any) -> tuple[StoreFact, ...]:
    given = _dict(data).get("stores")
    if not isinstance(given, list):
        raise MalformedError("stores is not a list")
    return tuple(StoreFact(id=str(each.get("id")), kind=each.get("type"),
                           is_default=str(each.get("default")).lower() == "true") for each in map(_dict, given))


def parse_usage(data: Any) -> dict[str, QuotaFact]:
    found = {}
    for name, each in _dict(_dict(data).get("usage")).items():
        used, limit = _dict(each).get("usage"), each.get("limit")
        if type(used) is not int or type(limit) is not int:
            raise MalformedError(f"the usage of {name} has no numbers")
        unit = _MIB if name in _SIZES else 1
        found[name] = QuotaFact(used=used * unit, limit=None if limit < 0 else limit * unit)
    return found


def _without_null(data: Any) -> Any:
    return [each for each in data if each is not None] if isinstance(data, list) else data


def _dict(data: Any) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise MalformedError("not a JSON object where one belongs")
    return data


def _strings(data: Any) -> frozenset[str]:
    if not isinstance(data, list) or not all(isinstance(each, str) for each in data):
        raise MalformedError("not a list of strings where one belongs")
    return frozenset(data)
