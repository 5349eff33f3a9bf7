# SPDX-License-Identifier: Apache-2.0
"""Folders of sockets: each process has its own, and none outlives its process for long."""
from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from glancesync.stores.sockets import SocketFolder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def killed(place: Path) -> Path:
    """What a process leaves that had no time to clean up."""
    folder = SocketFolder()
    path = Path(folder.path)
    (path / "0123456789abcdef").touch()
    os.close(folder._mark)  # as the kernel does it for whoever ends
    return path


def test_a_killed_processs_folder_goes_with_the_next_one(place: Path) -> None:
    dead, living = killed(place), SocketFolder()
    assert stat.S_IMODE(os.stat(living.path).st_mode) == 0o700
    assert not dead.exists()
    assert list(place.iterdir()) == [Path(living.path)]
    living.remove()
    assert list(place.iterdir()) == []
    assert Path(living.path).is_dir()  # it may be used again
    living.remove()


def test_the_folders_of_living_processes_and_of_others_stay(place: Path) -> None:
    living, other, file, link = SocketFolder(), place / "gsync-other", place / "gsync-file", place / "gsync-link"
    kept = Path(living.path)
    (kept / "socket").touch()
    other.mkdir(mode=0o700)  # no mark: perhaps not ours
    (other / "of somebody").touch()
    file.touch()
    link.symlink_to(killed(place))
    open_to_all = killed(place)
    open_to_all.chmod(0o755)
    second = SocketFolder()
    assert second.path != living.path
    assert (kept / "socket").exists()
    assert (other / "of somebody").exists()
    assert file.exists()
    assert link.is_symlink()
    assert open_to_all.exists()
    for each in (living, second):
        each.remove()
