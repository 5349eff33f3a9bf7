# SPDX-License-Identifier: Apache-2.0
"""Files of the lab: written whole or not at all, readable by their owner only. Used by every other module here."""
from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Options by section, as an oslo.config file holds them.
Sections = dict[str, dict[str, Any]]


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step, mode 0600 from its first moment."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    part.replace(path)


def write_changed(files: Mapping[Path, str]) -> bool:
    """Write those that differ from what lies there; True when any did."""
    changed = [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in changed:
        write_private(path, files[path])
    return bool(changed)


def ini(sections: Sections) -> str:
    """An oslo.config file. A `$` starts an interpolation there, so one in a value is doubled."""
    lines: list[str] = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {_value(value)}" for name, value in options.items()]
        lines.append("")
    return "\n".join(lines)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace("$", "$$")


def last_lines(path: Path, count: int = 15) -> str:
    """The end of a log, for an error message."""
    if not path.exists():
        return "(no log was written)"
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 16384))
        return "\n".join(stream.read().decode("utf-8", "replace").splitlines()[-count:])
