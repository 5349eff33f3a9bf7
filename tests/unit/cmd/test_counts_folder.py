# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glancesync.cmd.counts_folder import CountsFolder

_ONE_THAT_IS_KILLED = """
import os, signal, sys, time
from pathlib import Path
from glancesync.cmd.counts_folder import CountsFolder
folder = CountsFolder(time.time(), Path(sys.argv[1]))
(folder.path / "counter_1.db").write_bytes(b"1")
os.kill(os.getpid(), signal.SIGKILL)
"""


def age(path: Path, seconds: float = 120) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_it_is_closed_to_others_and_gone_at_the_end(tmp_path: Path) -> None:
    folder = CountsFolder(time.time(), tmp_path)
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.remove()
    assert not folder.path.exists()


def test_what_a_killed_server_left_is_removed_by_the_next_start(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _ONE_THAT_IS_KILLED, str(tmp_path)], check=False)
    [left] = tmp_path.iterdir()
    age(left)
    folder = CountsFolder(time.time(), tmp_path)
    assert list(tmp_path.iterdir()) == [folder.path]
    folder.remove()


def test_what_is_in_use_new_or_not_ours_stays(tmp_path: Path) -> None:
    used = CountsFolder(time.time(), tmp_path)
    new, outside = tmp_path / "glance-sync-metrics-new", tmp_path / "elsewhere"
    age(used.path)
    new.mkdir()
    outside.mkdir()
    (outside / "file").touch()
    age(outside)
    link, file = tmp_path / "glance-sync-metrics-link", tmp_path / "glance-sync-metrics-file"
    link.symlink_to(outside)
    file.touch()
    age(file)
    folder = CountsFolder(time.time(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        each.name for each in (used.path, folder.path, new, outside, link, file)}
    assert (outside / "file").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_another_users_stays(tmp_path: Path) -> None:
    theirs = tmp_path / "glance-sync-metrics-theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    age(theirs)
    CountsFolder(time.time(), tmp_path).remove()
    assert theirs.exists()
