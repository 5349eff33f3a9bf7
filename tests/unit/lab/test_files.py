# SPDX-License-Identifier: Apache-2.0
"""Files of the lab: private from their first moment, written only when they change."""
from __future__ import annotations

import stat
from pathlib import Path

from oslo_config import cfg

from glancesync.lab.files import ini, last_lines, write_changed, write_private


def test_written_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret.conf"
    write_private(path, "one")
    write_private(path, "two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret.conf"]


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    files = {tmp_path / "a": "1", tmp_path / "b": "2"}
    assert write_changed(files)
    before = (tmp_path / "a").stat().st_mtime_ns
    assert not write_changed(files)
    assert write_changed(files | {tmp_path / "b": "3"})
    assert (tmp_path / "a").stat().st_mtime_ns == before


def test_oslo_config_reads_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    write_private(path, ini({"DEFAULT": {"debug": True}, "keystone": {"password": "a$b$$c=d"}}))
    conf = cfg.ConfigOpts()
    conf.register_opt(cfg.BoolOpt("debug"))
    conf.register_opt(cfg.StrOpt("password"), group="keystone")
    conf([], default_config_files=[str(path)])
    assert conf.debug is True
    assert conf.keystone.password == "a$b$$c=d"


def test_last_lines_of_a_long_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {number}\n" for number in range(5000)))
    assert last_lines(path, 2) == "line 4998\nline 4999"
    assert last_lines(tmp_path / "none") == "(no log was written)"
