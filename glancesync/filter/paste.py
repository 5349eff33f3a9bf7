# SPDX-License-Identifier: Apache-2.0
"""Names the paste section that an error is about: PasteDeploy hands over a section's options, but not its name.

Used by `options` when the start is refused.
"""
from __future__ import annotations

import configparser

FACTORY = "glancesync.filter:filter_factory"


def section_with(paste_file: str | None, option: str) -> str:
    """`[filter:NAME] of FILE` for the filter section that holds the option."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read(paste_file or (), encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return f"The filter's section of {paste_file}"
    for name in parser.sections():
        if parser.get(name, "paste.filter_factory", fallback=None) == FACTORY and parser.has_option(name, option):
            return f"[{name}] of {paste_file}"
    return f"The filter's section of {paste_file or 'the paste file'}"
