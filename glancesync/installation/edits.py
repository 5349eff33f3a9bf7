# SPDX-License-Identifier: Apache-2.0
"""What is changed in Glance's files, and how it is taken back (pure). Comments, order and spaces stay as they are.

`remove_*` undoes `add_*` to the letter, whatever else was changed in the file between the two.
"""
from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from configupdater import ConfigUpdater, Option, ParsingError


@dataclass(frozen=True, kw_only=True)
class PasteFilter:
    """A filter of ours in Glance's pipelines."""

    name: str
    factory: str
    options: Mapping[str, str] = field(default_factory=dict)


#: Reports what users of the cascading Glance change.
REPORTER = PasteFilter(name="glancesync", factory="glancesync.filter:filter_factory")
#: Lets a cascaded Glance take files of its own store.
STORE = PasteFilter(name="glancesync-store", factory="glancesync.filter.store_locations:filter_factory",
                    options={"role": "glance_sync_store"})
SECTION = "glance_sync"
_LOCKS = "oslo_concurrency"
_PIPELINES = "composite:api"
_APP = "rootapp"
#: Stands over what was put in, so that nothing else is taken out.
MARK = "# Put here by glance-sync's install.sh; uninstall.sh takes it out."
_LINE_END = " The line's end before it, too."


class EditError(Exception):
    """A file is not what this can change; the message says how it should look."""


def add_filter(text: str, which: PasteFilter = REPORTER) -> str:
    """glance-api-paste.ini with the filter before the root application of each keystone pipeline.

    Returns the same text when it is there already. Raises EditError where there is no such pipeline.
    """
    if not any(_APP in _words(option) for option in _pipelines(text)):
        raise EditError(f"has no pipeline under [{_PIPELINES}] whose name begins with keystone and which ends in {_APP}"
                        " (Glance 27 and later have them)")
    changed = _with_pipelines(text, rf"\b{_APP}\b", f"{which.name} {_APP}", lambda words: which.name not in words)
    name = f"filter:{which.name}"
    if read(changed).has_section(name):
        return changed
    return changed + _block(name, {"paste.filter_factory": which.factory, **which.options}, changed)


def remove_filter(text: str, which: PasteFilter = REPORTER) -> str:
    """The paste file without what `add_filter` put in; what an administrator put in by hand is left."""
    without = _without_block(text, f"filter:{which.name}")
    return text if without == text else _with_pipelines(without, rf"\b{which.name}\s+", "",
                                                        lambda words: which.name in words)


def _pipelines(text: str) -> list[Option]:
    paste = read(text)
    options = paste[_PIPELINES].iter_options() if paste.has_section(_PIPELINES) else ()
    return [option for option in options if option.key.startswith("keystone")]


def _words(option: Option) -> list[str]:
    return (option.value or "").split()


def _with_pipelines(text: str, pattern: str, new: str, chosen: Callable[[list[str]], bool]) -> str:
    """Those chosen by their words, changed as text: setting a value would put its spaces right as well."""
    changed = whole = str(read(text)[_PIPELINES])
    for option in _pipelines(text):
        if chosen(_words(option)):
            changed = changed.replace(str(option), re.sub(pattern, new, str(option)), 1)
    return text.replace(whole, changed, 1)


def add_options(text: str, options: Mapping[str, str]) -> str:
    """glance-api.conf with [glance_sync]. A section that is there already is the administrator's and stays."""
    if read(text).has_section(SECTION):
        return text
    return text + _block(SECTION, options, text)


def add_lock_path(text: str, path: str) -> str:
    """glance-api.conf with a folder for locks, without which Glance registers no location. A second section of the
    name, which oslo.config reads together with the first."""
    if get(text, _LOCKS, "lock_path") or _without_block(text, _LOCKS) != text:
        return text
    return text + _block(_LOCKS, {"lock_path": path}, text)


def remove_all(text: str) -> str:
    """Either of Glance's files without anything that was put in."""
    for which in (REPORTER, STORE):
        text = remove_filter(text, which)
    return _without_block(remove_options(text), _LOCKS)


def remove_options(text: str) -> str:
    """glance-api.conf without the section that `add_options` put in, however it was filled in since."""
    return _without_block(text, SECTION)


def names_filter(text: str) -> bool:
    """Whether a Glance that reads this paste file needs the filter's code."""
    return any(re.search(rf"^[^#;\n]*\b{re.escape(which.factory)}", text, re.MULTILINE) for which in (REPORTER, STORE))


def get(text: str, section: str, option: str) -> str | None:
    """An option's text, None where it is not there or empty."""
    conf = read(text)
    found = conf[section].get(option) if conf.has_section(section) else None
    return (found.value or None) if found is not None else None


def fill(text: str, values: Mapping[tuple[str, str], str]) -> str:
    """A configuration file with these options changed; sections and options that are missing are put in."""
    conf = read(text)
    for (section, name), value in values.items():
        if not conf.has_section(section):
            conf.add_section(section)
        conf[section][name] = value.replace("$", "$$")  # oslo.config puts other options' values in for $name
    return str(conf)


def read(text: str) -> ConfigUpdater:
    """Parsed. Raises EditError for what is no such file."""
    parsed = ConfigUpdater(strict=False, delimiters=("=",), allow_no_value=True, comment_prefixes=("#", ";"))
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parsed.read_string(text)
    except ParsingError as error:
        raise EditError(f"is no configuration file: {error}") from error
    return parsed


def _block(section: str, options: Mapping[str, str], before: str) -> str:
    """What is put at the end. A file that lacks its last line's end gets one, noted so that it can be taken back."""
    mark = MARK if not before or before.endswith("\n") else f"\n{MARK}{_LINE_END}"
    return "\n".join([mark, f"[{section}]", *(f"{name} = {value}".rstrip() for name, value in options.items()), ""])


def _without_block(text: str, section: str) -> str:
    """From the mark to the section's last option; comments after that may be the next section's and stay."""
    lines = text.splitlines(keepends=True)
    for at, line in enumerate(lines[:-1]):
        if line.startswith(MARK) and lines[at + 1].strip() == f"[{section}]":
            before, after = lines[:at], lines[at + 2:]
            body = list(itertools.takewhile(lambda each: not each.startswith("["), after))
            said = max((number + 1 for number, each in enumerate(body) if each.strip() and each[0] not in "#;"),
                       default=0)
            if line.strip() == f"{MARK}{_LINE_END}":
                before[-1] = before[-1].removesuffix("\n")
            return "".join(before + after[said:])
    return text
