# SPDX-License-Identifier: Apache-2.0
"""The program's files under /opt/glance-sync: one folder for each version, and links that name the one in force.

The server has a virtual environment; the filter is a folder with this package alone, because Glance's own packages
must not change, which a .pth file in Glance's Python adds to its path.
"""
from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from glancesync import __version__
from glancesync.installation.manifest import Entry, Manifest
from glancesync.installation.system import remove_tree, run

_SOURCES = ("pyproject.toml", "setup.py", "README.md", "glancesync")
_DONE = ".complete"


@dataclass(frozen=True, kw_only=True)
class Build:
    """A folder that pip fills from the source tree. What broke off is begun anew."""

    path: Path
    source: Path
    python: Path
    is_filter: bool = False
    system_packages: bool = False

    def is_done(self) -> bool:
        return (self.path / _DONE).exists()

    def describe(self) -> str:
        what = "the filter's code" if self.is_filter else "a virtual environment for the server"
        return f"make {self.path}: {what}, by pip"

    def apply(self, manifest: Manifest, stamp: str) -> None:
        manifest.note(Entry(kind="tree", path=str(self.path)))
        if self.path.exists():
            remove_tree(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            copy = _copy_source(self.source, Path(folder) / "source")
            if self.is_filter:
                self._fill_filter(copy)
            else:
                self._fill_environment(copy)
        (self.path / _DONE).touch()

    def _fill_environment(self, copy: Path) -> None:
        more = ["--system-site-packages"] if self.system_packages else []
        # eventlet imports it where it is there, and Debian's fails beside a newer cryptography than Debian's.
        beside = ["pyOpenSSL>=24.3"] if self.system_packages else []
        run([str(self.python), "-m", "venv", *more, str(self.path)])
        run([str(self.path / "bin/python"), *_PIP, f"{copy}[mysql,postgresql]", *beside])

    def _fill_filter(self, copy: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            run([str(self.python), "-m", "venv", folder])
            run([f"{folder}/bin/python", *_PIP, "--no-deps", "--no-compile", "--target", str(self.path), str(copy)])
        for each in (self.path, *self.path.rglob("*")):
            each.chmod(0o755 if each.is_dir() else 0o644)


@dataclass(frozen=True, kw_only=True)
class DropOthers:
    """Folders of earlier versions go when the links name the new one."""

    keep: tuple[Path, ...]
    parent: Path
    patterns: tuple[str, ...] = ("environment-*", "filter-*")

    def is_done(self) -> bool:
        return not self._others()

    def describe(self) -> str:
        return "remove the versions before: " + ", ".join(str(each) for each in self._others())

    def apply(self, manifest: Manifest, stamp: str) -> None:
        for each in self._others():
            remove_tree(each)
            entry = manifest.find(str(each))
            if entry:
                manifest.forget(entry)

    def _others(self) -> list[Path]:
        found = [path for pattern in self.patterns for path in self.parent.glob(pattern)]
        return sorted(each for each in found if each not in self.keep)


_PIP = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]


def version_of(source: Path) -> str:
    """A name for what the source tree holds: its version, and a digest of its files."""
    found = hashlib.sha256()
    for name in _SOURCES:
        path = source / name
        for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if each.is_file() and "__pycache__" not in each.parts:
                found.update(f"{each.relative_to(source)}\n".encode() + each.read_bytes())
    return f"{__version__}-{found.hexdigest()[:12]}"


def _copy_source(source: Path, target: Path) -> Path:
    """pip leaves files in the tree that it builds from."""
    target.mkdir()
    for name in _SOURCES:
        path = source / name
        if path.is_dir():
            shutil.copytree(path, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, target / name)
    return target
