# SPDX-License-Identifier: Apache-2.0
"""What was changed on the host, in order, written down before each change. Read by the next installation and by the
removal."""
from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing. `kind`: `edit` (a file of somebody else's), `file`, `directory`, `tree` and `link` (ours), `user`.

    `sha256` is that of our text, `backup` the original of an edited file.
    """

    kind: str
    path: str
    sha256: str | None = None
    backup: str | None = None


class Manifest:
    """A JSON file in a folder of root's alone; the originals lie beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "manifest.json"
        self.entries: list[Entry] = []
        if self._path.exists():
            self.entries = [Entry(**each) for each in json.loads(self._path.read_text("utf-8"))["entries"]]

    def find(self, path: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.path == path), None)

    def note(self, entry: Entry) -> None:
        """Write it down, in the place of the one for this path, if any."""
        old = self.find(entry.path)
        if old is None:
            self.entries.append(entry)
        else:
            self.entries[self.entries.index(old)] = entry
        self._save()

    def forget(self, entry: Entry) -> None:
        """It was taken back."""
        self.entries.remove(entry)
        self._save()

    def keep_original(self, path: Path, stamp: str) -> Path:
        """A dated copy with mode, owner and times."""
        copy = self._folder / "originals" / stamp / str(path).lstrip("/")
        self._ensure_folder()
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy_whole(path, copy)
        return copy

    def remove(self) -> None:
        """Nothing is left to be taken back."""
        shutil.rmtree(self._folder, ignore_errors=False)

    def _ensure_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _save(self) -> None:
        self._ensure_folder()
        text = json.dumps({"entries": [asdict(entry) for entry in self.entries]}, indent=1)
        replace(self._path, text, mode=0o600)


def copy_whole(source: Path, target: Path) -> None:
    """Bytes, mode, owner and times."""
    shutil.copy2(source, target)
    found = source.stat()
    os.chown(target, found.st_uid, found.st_gid)


def replace(path: Path, text: str, *, mode: int, owner: tuple[int, int] | None = None) -> None:
    """A whole file in one step: nobody reads half of it, and nobody reads it before mode and owner are right."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        if owner:
            os.fchown(file.fileno(), *owner)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
