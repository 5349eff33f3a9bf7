# SPDX-License-Identifier: Apache-2.0
"""The main job in short, with each Glance that is served; and that filter and client need nothing else than Glance."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from glancesync.lab.service import base_environment
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MainJob
from tests.fixtures.short_job import run_short_job

ROOT = Path(__file__).parents[2]
GLANCE_28 = ROOT / ".venv-glance28"


@pytest.mark.lab
@pytest.mark.every_glance
def test_the_main_job(job: MainJob, images: ImagesOf, project_ids: dict[str, str]) -> None:
    run_short_job(job, images("demo"), project_ids["rival"])


@pytest.mark.full
def test_what_loads_inside_glance_passes_its_unit_tests_beside_glance_28() -> None:
    python = GLANCE_28 / "bin" / "python"
    answer = subprocess.run([python, "-m", "pytest", "--noconftest", "-q", "-p", "no:cacheprovider",
                             "tests/unit/filter", "tests/unit/client",
                             # Glance registers locations from 29 on.
                             "--ignore-glob=*/test_store_*"], cwd=ROOT, env=base_environment(),
                            capture_output=True, text=True, check=False, timeout=300)
    assert answer.returncode == 0, answer.stdout[-3000:]
    assert " passed" in answer.stdout
