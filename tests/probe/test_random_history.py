# SPDX-License-Identifier: Apache-2.0
"""A random history with faults on a cloud of its own: whatever happens, in the end all regions hold the same, and
nobody saw other bytes on the way. tests/soak/random_history.py is the same for an hour."""
from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.state import LabOptions
from tests.fixtures.history import History, prepare_server
from tests.fixtures.history_plan import Shape

SEED_VARIABLE = "GLANCESYNC_HISTORY_SEED"


@pytest.fixture
def broken_lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """A lab that no other test has to live in afterwards; its logs stay when the test failed. Its tokens are renewed
    once a minute: keystoneauth takes a new one in the last two minutes of each."""
    cloud = Lab(tmp_path / "cloud")
    failed_before = request.session.testsfailed
    try:
        cloud.up(LabOptions(token_expiration_seconds=180), with_server=False)
        yield cloud
    finally:
        cloud.down(keep=request.session.testsfailed > failed_before)


@pytest.mark.lab
@pytest.mark.timeout(900)
def test_everything_converges_after_a_random_history(broken_lab: Lab, tmp_path: Path,
                                                     tell: Callable[[str], None]) -> None:
    seed = os.environ.get(SEED_VARIABLE) or secrets.token_hex(4)
    prepare_server(broken_lab)
    history = History(broken_lab, seed, Shape(), tmp_path / "history.log")
    tell(f"random history: {SEED_VARIABLE}={seed} repeats it, {history.journal.path} tells it")
    report = history.run()
    tell(report.sentence())
    assert not report.settled.findings, "\n".join([report.sentence(), *report.settled.findings])
    # A history in which little happened proves little.
    assert report.operations >= 150
    assert report.outcomes["ok"] >= report.operations / 2
    assert sum(report.kills.values()) >= 6
    assert report.mid_put_kills >= 1
    assert report.meddlings >= 5
    assert report.births >= 1
    assert report.settled.filled >= 1
    # The watchers were awake all the time, however soon it was over.
    assert report.looks >= 5 * report.seconds
    assert report.reads >= 80 * report.seconds
