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
