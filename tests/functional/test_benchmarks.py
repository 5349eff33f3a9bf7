# SPDX-License-Identifier: Apache-2.0
"""Every benchmark runs, in its small size, and prints figures. How large they are is nothing for a test."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.state import LabOptions
from tests.fixtures import rabbitmq

ROOT = Path(__file__).parents[2]
#: A line of a table whose cells after the name hold a figure.
FIGURES = re.compile(r"^\| \w.* \| +[^|]*\d\.?\d*[^|]*\|", re.MULTILINE)
LAB_BENCHMARKS = {"filter_cost": 12, "metadata_rate": 11, "reconcile_pass": 6, "region_calls": 12, "streaming": 10}


@pytest.fixture(scope="module")
def benchmark_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A cloud of their own: they leave images behind, and other clouds are busy."""
    lab = Lab(tmp_path_factory.mktemp("benchmark") / "cloud")
    try:
        lab.up(LabOptions(), with_server=False)
        yield lab
    finally:
        lab.down()


@pytest.mark.lab
@pytest.mark.full
@pytest.mark.parametrize("name", LAB_BENCHMARKS)
def test_benchmark_on_a_cloud(name: str, benchmark_lab: Lab) -> None:
    answer = run_quickly(name, "--lab-dir", str(benchmark_lab.directory))
    assert len(FIGURES.findall(answer)) == LAB_BENCHMARKS[name], answer


@pytest.mark.full
def test_queue_benchmark(tmp_path: Path) -> None:
    answer = run_quickly("task_queue", "--dir", str(tmp_path))
    assert len(FIGURES.findall(answer)) == 9, answer


@pytest.mark.full
def test_shared_queue_benchmark() -> None:
    answer = run_quickly("shared_queue", "--databases", "sqlite,postgresql", "--processes", "1,2")
    row = r"^\| (?:sqlite|postgresql), [12] +(?:\| [0-9.]+ \([^|]*){5}\|$"
    assert len(re.findall(row, answer, re.MULTILINE)) == 4, answer


@pytest.mark.full
def test_engines_benchmark() -> None:
    if not rabbitmq.PROGRAM.exists():
        pytest.skip("needs RabbitMQ: apt-get install rabbitmq-server")
    answer = run_quickly("engines", "--workers", "1")
    row = r"^\| (?:local|celery, workers: 1) +(?:\| [0-9.]+ \([^|]*){3}\|$"
    assert len(re.findall(row, answer, re.MULTILINE)) == 2, answer


@pytest.mark.full
def test_scale_benchmark(tmp_path: Path) -> None:
    answer = run_quickly("scale", "--dir", str(tmp_path))
    for what in ("claim 16 tasks", "tasks: failed", "images: one"):
        assert re.search(rf"^\| {what} +\| [0-9.]+ \([^|]*\| [0-9.]+ \(", answer, re.MULTILINE), answer
    assert len(re.findall(r"^\| [0-9]+ +\| [0-9]+ +\|", answer, re.MULTILINE)) == 4, answer


@pytest.mark.full
def test_tee_benchmark() -> None:
    answer = run_quickly("tee_cpu")
    assert len(FIGURES.findall(answer)) == 3, answer


@pytest.mark.lab
@pytest.mark.full
@pytest.mark.parametrize(("name", "figures"), [("store_files", 15), ("store_copy", 10)])
def test_store_benchmarks(name: str, figures: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to be the hosts of stores")
    answer = run_quickly(name, *(("--database", "sqlite") if name == "store_copy" else ()))
    assert len(FIGURES.findall(answer)) == figures, answer


def run_quickly(name: str, *arguments: str) -> str:
    """The standard output of the benchmark's small size; its failure fails the test."""
    answer = subprocess.run([sys.executable, "-m", f"tests.benchmark.{name}", "--quick", *arguments], cwd=ROOT,
                            capture_output=True, text=True, check=False, timeout=540)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout
