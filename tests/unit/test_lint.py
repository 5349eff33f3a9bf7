# SPDX-License-Identifier: Apache-2.0
"""The linters as tests, so that one run and one summary say everything."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "bandit": ["bandit", "-q", "-c", "pyproject.toml", "-r", "glancesync", "setup.py"],
    "ruff": ["ruff", "check", "."],
    "import-linter": ["lint-imports"],
    "mypy": ["mypy"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_lint(name: str) -> None:
    program, *arguments = COMMANDS[name]
    answer = subprocess.run([Path(sys.executable).with_name(program), *arguments], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=300)
    assert answer.returncode == 0, answer.stdout
