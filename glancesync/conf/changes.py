# SPDX-License-Identifier: Apache-2.0
"""What differs between two readings of the configuration files (pure). Used at a reload."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oslo_config import cfg

from glancesync.conf.given import Given


@dataclass(frozen=True, kw_only=True)
class Change:
    """One option whose value differs; `at_once` when it can be changed while the server runs."""

    section: str
    name: str
    before: str
    after: str
    at_once: bool

    def __str__(self) -> str:
        return f"[{self.section}] {self.name} = {self.after} (it was {self.before})"


def list_changes(before: Given, after: Given) -> list[Change]:
    """By section and name. A value that is written differently and means the same is no change; of a secret one
    neither value is told."""
    known = {section: before.known.get(section, {}) | opts for section, opts in after.known.items()}
    old, new = _by_option(before), _by_option(after)
    changes = []
    for section, dest in sorted(old.keys() | new.keys()):
        opt = next(each for each in known[section].values() if each.dest == dest)
        one, two = _value(opt, old.get((section, dest))), _value(opt, new.get((section, dest)))
        if one != two:
            hidden = "(secret)" if opt.secret else None
            changes.append(Change(section=section, name=dest, before=hidden or _shown(one),
                                  after=hidden or _shown(two), at_once=bool(opt.mutable)))
    return changes


def _by_option(given: Given) -> dict[tuple[str, str], str]:
    """What was said, by the option's own name: some have older ones."""
    return {(section, given.known[section][name].dest): text
            for (section, name), (text, _path) in given.values.items()}


def _value(opt: cfg.Opt, text: str | None) -> Any:
    if text is None:
        return opt.default
    try:
        return opt.type(text)
    except (ValueError, TypeError):
        return text  # refers to another option


def _shown(value: Any) -> str:
    return "unset" if value is None else str(value)
