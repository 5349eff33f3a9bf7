# SPDX-License-Identifier: Apache-2.0
"""The libraries of the server in a patched process: nothing hangs, nothing stops the hub."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_libraries_live_together_in_a_patched_process(tmp_path: Path) -> None:
    answer = subprocess.run([sys.executable, "-m", "tests.probe.green_process", str(tmp_path / "state.db")], cwd=ROOT,
                            capture_output=True, text=True, check=False, timeout=120)
    assert answer.returncode == 0, answer.stdout + answer.stderr[-2000:]
