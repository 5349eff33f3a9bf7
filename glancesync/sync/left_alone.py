# SPDX-License-Identifier: Apache-2.0
"""Which images the rules of `leave_alone` meet (pure). Called by plan."""
from __future__ import annotations

import operator
from collections.abc import Iterable
from fnmatch import fnmatchcase

from glancesync.conf.image_rules import Condition, ImageRule, ImageRules
from glancesync.model.image import Image
from glancesync.sync.situation import Situation, is_ours

_COMPARED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def find_rule(image: Image, rules: ImageRules | None) -> ImageRule | None:
    """The first rule all of whose conditions the image meets."""
    for rule in rules.rules if rules is not None else ():
        if all(_meets(image, condition) for condition in rule.conditions):
            return rule
    return None


def find_excluding_rule(situation: Situation, source: Image) -> ImageRule | None:
    """The rule that keeps the image out of the region. None where a replica of ours has its bytes: it must still lose
    what the image loses, its members above all."""
    if situation.replica is not None and situation.replica.has_bytes and is_ours(situation):
        return None
    return find_rule(source, situation.leave_alone)


def _meets(image: Image, condition: Condition) -> bool:
    if condition.name == "size":  # not known before the bytes are there, and it is looked at again then
        return image.size is not None and _COMPARED[condition.operator](image.size, condition.size)
    found = any(condition.text is None or fnmatchcase(value, condition.text) for value in _values(image, condition))
    return found is (condition.operator == "=")


def _values(image: Image, condition: Condition) -> Iterable[str]:
    """What the image has of it: one without an owner, a name or such a property has nothing that matches."""
    if condition.name == "tag":
        return image.tags
    if condition.name == "property":
        return [image.properties[condition.key] or ""] if condition.key in image.properties else []
    value = getattr(image, condition.name)
    return [] if value is None else [value]
