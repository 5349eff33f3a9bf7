# SPDX-License-Identifier: Apache-2.0
"""No answer holds a call of the server for ever, not even one whose head drips byte by byte."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_heads_that_never_end() -> None:
    answer = subprocess.run([sys.executable, "-m", "tests.contract.green_drip"], cwd=ROOT, capture_output=True,
                            text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stdout + answer.stderr[-2000:]
