# SPDX-License-Identifier: Apache-2.0
"""Rules that give regions to names, as they are written: `member=RegionTwo,RegionThree; auditor=RegionTwo; admin=*`.

Parsed when the configuration is read; sync.user decides with them.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from oslo_config import types

ALLOWED = "rules NAME=REGION,REGION separated by ;, with * for all regions and nothing after the = for none"
EVERY = "*"


def names_region(regions: Iterable[str], region: str) -> bool:
    """Whether a list of regions names this one, or all."""
    return bool({EVERY, region} & set(regions))


@dataclass(frozen=True, kw_only=True)
class RegionRules:
    """Name to its regions, in the order of writing. Shown as they could have been written."""

    rules: tuple[tuple[str, tuple[str, ...]], ...]

    def find(self, name: str | None) -> tuple[str, ...] | None:
        """The regions of a name, None where there is no rule for it."""
        return dict(self.rules).get(name) if name is not None else None

    def __str__(self) -> str:
        return "; ".join(f"{name}={','.join(regions)}" for name, regions in self.rules)


class RegionRulesType(types.ConfigType):
    """oslo.config's type of an option that holds rules."""

    allowed = ALLOWED

    def __init__(self) -> None:
        super().__init__(type_name="rules about regions")

    def __call__(self, value: Any) -> RegionRules:
        """Raises ValueError naming the rule that is none."""
        return value if isinstance(value, RegionRules) else parse_rules(str(value))

    def _formatter(self, value: Any) -> str:
        return str(value)


def parse_rules(text: str) -> RegionRules:
    """Raises ValueError naming the rule that is none, also for a name that has two."""
    parts = [part.strip() for part in text.split(";")]
    if len(parts) > 1 and not parts[-1]:
        parts.pop()  # a ; at the end
    rules = [_rule(part) for part in parts]
    names = [name for name, _ in rules]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} has two rules")
    return RegionRules(rules=tuple(rules))


def _rule(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, listed = (part.strip() for part in text.partition("="))
    regions = tuple(region.strip() for region in listed.split(",")) if listed else ()
    if not equals or not name or not all(regions) or (EVERY in regions and len(regions) > 1):
        raise ValueError(f"{text!r} is no rule NAME=REGION,REGION")
    return name, regions
