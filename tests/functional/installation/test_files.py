# SPDX-License-Identifier: Apache-2.0
"""What the installer puts down is taken by those who read it: systemd, logrotate, bash."""
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from glancesync.installation.layout import Layout
from glancesync.installation.plan import rotation

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "installation/systemd/glance-sync.service"
#: systemd's own measure, 0 the best and 10 the worst; 9.6 is a unit that says nothing.
MOST_EXPOSED = 2.0


def needs(program: str) -> str:
    found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """With a program that exists."""
    made = tmp_path / UNIT.name
    made.write_text(UNIT.read_text("utf-8").replace("/opt/glance-sync/bin/glance-sync", "/bin/true"), "utf-8")
    return made


def test_systemd_takes_the_unit(unit: Path) -> None:
    answer = subprocess.run([needs("systemd-analyze"), "verify", "--man=no", str(unit)], capture_output=True, text=True,
                            check=False, timeout=60)
    ours = [line for line in answer.stderr.splitlines() if UNIT.name in line]
    assert (answer.returncode, ours) == (0, []), answer.stderr


def test_the_unit_is_hardened(unit: Path) -> None:
    answer = subprocess.run([needs("systemd-analyze"), "security", "--offline=yes", "--no-pager",
                             f"--threshold={MOST_EXPOSED * 10:.0f}", str(unit)], capture_output=True, text=True,
                            check=False, timeout=60)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Overall exposure level" in answer.stdout


def test_logrotate_takes_the_rotation(tmp_path: Path) -> None:
    path = tmp_path / "glance-sync"
    path.write_text(rotation(Layout(root=tmp_path)).replace("su glance-sync glance-sync", "su root root"), "utf-8")
    path.chmod(0o644)
    answer = subprocess.run([needs("logrotate"), "--debug", "--state", str(tmp_path / "state"), str(path)],
                            capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert "error" not in answer.stderr


@pytest.mark.parametrize("name", ["install.sh", "uninstall.sh", "installer.sh", "demo.sh", "environment.sh", "full.sh"])
def test_bash_takes_the_scripts(name: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / "installation" / name)], check=True, timeout=60)
