# SPDX-License-Identifier: Apache-2.0
"""The changes that an installation is made of. Each says whether it is there already, what it would do, and does it."""
from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from glancesync.installation.manifest import Entry, Manifest, replace
from glancesync.installation.system import digest, find_ids, ids, is_owned, run


class Change(Protocol):
    """One step of the plan."""

    def is_done(self) -> bool:
        """Whether the host is as this step wants it."""

    def describe(self) -> str:
        """What it does, for a person."""

    def apply(self, manifest: Manifest, stamp: str) -> None:
        """Do it, after noting how it is taken back. `stamp` is the date of this installation."""


@dataclass(frozen=True, kw_only=True)
class User:
    """A system user with a group of its own and no login."""

    name: str
    home: Path

    def is_done(self) -> bool:
        return find_ids(self.name) is not None

    def describe(self) -> str:
        return f"make the system user {self.name}"

    def apply(self, manifest: Manifest, stamp: str) -> None:
        manifest.note(Entry(kind="user", path=self.name))
        run(["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(self.home), "--shell",
             "/usr/sbin/nologin", self.name])


@dataclass(frozen=True, kw_only=True)
class Directory:
    """`owner` and `group` are names, None for root."""

    path: Path
    mode: int
    owner: str | None = None
    group: str | None = None

    def is_done(self) -> bool:
        return self.path.is_dir() and is_owned(self.path, self.mode, self.owner, self.group)

    def describe(self) -> str:
        return f"make the directory {self.path} ({self.mode:04o} {self.owner or 'root'}:{self.group or 'root'})"

    def apply(self, manifest: Manifest, stamp: str) -> None:
        if not self.path.exists():
            make_parents(self.path, manifest)
            manifest.note(Entry(kind="directory", path=str(self.path)))
            self.path.mkdir(mode=0o700)
        os.chown(self.path, *ids(self.owner, self.group))
        self.path.chmod(self.mode)


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of ours. With `keep` one that is there stays as it is: the administrator fills it in."""

    path: Path
    text: str
    mode: int = 0o644
    group: str | None = None
    keep: bool = False

    def is_done(self) -> bool:
        if not self.path.exists():
            return False
        return (self.keep or self.path.read_text("utf-8") == self.text) and is_owned(self.path, self.mode, None,
                                                                                     self.group)

    def describe(self) -> str:
        return f"write {self.path} ({self.mode:04o} root:{self.group or 'root'})"

    def apply(self, manifest: Manifest, stamp: str) -> None:
        if self.path.exists() and self.keep:
            os.chown(self.path, *ids(None, self.group))
            self.path.chmod(self.mode)
            return
        entry = manifest.find(str(self.path))
        original = entry.backup if entry else None
        if self.path.exists() and (entry is None or entry.sha256 != digest(self.path)):
            copy = manifest.keep_original(self.path, stamp)  # somebody else's, or changed since
            original = original if entry else str(copy)
        make_parents(self.path, manifest)
        manifest.note(Entry(kind="file", path=str(self.path), backup=original,
                            sha256=hashlib.sha256(self.text.encode()).hexdigest()))
        replace(self.path, self.text, mode=self.mode, owner=ids(None, self.group))


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A file of Glance's, with its text after the change. Mode and owner stay."""

    path: Path
    text: str

    def is_done(self) -> bool:
        return self.path.read_text("utf-8") == self.text

    def describe(self) -> str:
        before = self.path.read_text("utf-8").splitlines()
        # Without context: the lines around may be somebody's password.
        lines = [line for line in difflib.unified_diff(before, self.text.splitlines(), n=0, lineterm="")
                 if not line.startswith(("---", "+++", "@@"))]
        shown = [line if not line.startswith("+password") else "+password = ***" for line in lines]
        return "\n".join([f"change {self.path}, after a dated copy", *(f"    {line}" for line in shown)])

    def apply(self, manifest: Manifest, stamp: str) -> None:
        backup = manifest.keep_original(self.path, stamp)
        if manifest.find(str(self.path)) is None:
            manifest.note(Entry(kind="edit", path=str(self.path), backup=str(backup)))
        found = self.path.stat()
        replace(self.path, self.text, mode=found.st_mode & 0o7777, owner=(found.st_uid, found.st_gid))


@dataclass(frozen=True, kw_only=True)
class Link:
    """A symbolic link that is turned in one step."""

    path: Path
    target: str

    def is_done(self) -> bool:
        return self.path.is_symlink() and os.readlink(self.path) == self.target

    def describe(self) -> str:
        return f"link {self.path} to {self.target}"

    def apply(self, manifest: Manifest, stamp: str) -> None:
        manifest.note(Entry(kind="link", path=str(self.path)))
        part = self.path.with_name(f".{self.path.name}.part")
        part.unlink(missing_ok=True)
        part.symlink_to(self.target)
        part.replace(self.path)


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command that changes nothing that would have to be taken back. It need not run when `done`, or when the file
    `mark` says that it ended well before."""

    arguments: Sequence[str]
    what: str
    done: bool = False
    mark: Path | None = None
    good: Sequence[int] = (0,)

    def is_done(self) -> bool:
        return self.done or (self.mark is not None and self.mark.exists())

    def describe(self) -> str:
        return self.what

    def apply(self, manifest: Manifest, stamp: str) -> None:
        print(run(self.arguments, good=self.good), end="", flush=True)  # a warning of the check, the new version
        if self.mark is not None:
            self.mark.touch()


def make_parents(path: Path, manifest: Manifest) -> None:
    """The folders above it that are missing, readable by all."""
    for each in [each for each in reversed(path.parents) if not each.exists()]:
        manifest.note(Entry(kind="parent", path=str(each)))
        each.mkdir()
        each.chmod(0o755)  # whatever the umask is
