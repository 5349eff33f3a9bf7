# SPDX-License-Identifier: Apache-2.0
"""`glance-sync-lab` where there is no lab."""
from __future__ import annotations

from pathlib import Path

import pytest

from glancesync.cmd import lab


@pytest.mark.parametrize(("command", "status"), [("status", 1), ("down", 0)])
def test_where_there_is_no_lab_that_is_said(command: str, status: int, tmp_path: Path,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "none"
    assert lab.main([command, "--dir", str(folder)]) == status
    assert capsys.readouterr().out == f"no lab in {folder}\n"
    assert not folder.exists()


def test_a_password_on_the_command_line_is_refused_and_not_repeated(tmp_path: Path,
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        lab.main(["up", "--dir", str(tmp_path / "none"), "--sync-database", "postgresql://sync:hidden@host/sync"])
    told = capsys.readouterr().err
    assert (end.value.code, "GLANCE_SYNC_LAB_DATABASE" in told, "hidden" in told) == (2, True, False)


def test_a_password_may_come_in_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lab.DATABASE_VARIABLE, "postgresql://sync:hidden@host/sync")
    options = lab._parser().parse_args(["up", "--dir", str(tmp_path / "none"), "--servers", "2"])
    chosen = lab._lab_options(lab.Lab(tmp_path / "none"), options)
    assert (chosen.servers, chosen.sync_database) == (2, "postgresql://sync:hidden@host/sync")
