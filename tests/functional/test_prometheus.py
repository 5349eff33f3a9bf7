# SPDX-License-Identifier: Apache-2.0
"""Prometheus' own tool reads the alerts and what the server and the filter tell; skips where it is not installed."""
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from glancesync.filter import textfile
from glancesync.filter.backlog import Depth
from glancesync.filter.status import Counters
from glancesync.lab.server import SyncServer

RULES = Path(__file__).parents[2] / "etc" / "prometheus" / "glance-sync.rules.yaml"


def _promtool(*arguments: str, given: str = "") -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("there is no promtool")
    answer = subprocess.run([program, *arguments], input=given, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout + answer.stderr


def test_the_alerts_are_right() -> None:
    assert "SUCCESS" in _promtool("check", "rules", str(RULES))


def test_the_filters_file_is_right() -> None:
    _promtool("check", "metrics", given=textfile.render(Counters(), Depth(events=0, bytes=0, oldest_at=None), now=1.0))


@pytest.mark.lab
def test_what_the_server_tells_is_right(sync_server: SyncServer) -> None:
    text = requests.get(f"{sync_server.url}/metrics", timeout=30).text
    assert "glance_sync_up 1.0" in text
    _promtool("check", "metrics", given=text)
