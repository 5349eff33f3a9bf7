# SPDX-License-Identifier: Apache-2.0
"""Whether an image meets a rule (pure). Called by left_alone, and by comparisons of what a filter chooses."""
from __future__ import annotations

import operator
from collections.abc import Iterable
from fnmatch import fnmatchcase

from glancesync.conf.image_rules import Condition, ImageRule, ImageRules
from glancesync.model.image import Image

_COMPARED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def find_rule(image: Image, rules: ImageRules | None) -> ImageRule | None:
    """The first rule all of whose conditions the image meets."""
    for rule in rules.rules if rules is not None else ():
        if all(_meets(image, condition) for condition in rule.conditions):
            return rule
    return None


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
