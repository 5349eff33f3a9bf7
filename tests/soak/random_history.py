#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random histories with faults, one after the other on one cloud, for as long as is asked for.

    .venv/bin/python tests/soak/random_history.py --minutes 60 [--seed SEED] [--dir DIR]

Each chapter is a history of its own (seed SEED/1, SEED/2, ...) that is judged at its end; images of chapters before
live on for a while, so that replicas get old and ids are mapped more than once. Prints its seed, a line for each
chapter and the verdict; the exit status is 0 only when nothing was found. The first chapter with a finding ends it,
and leaves the cloud's logs and databases in DIR.
"""
from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

# Run as a script, the root is not on the path before.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from glancesync.lab.cloud import Lab
from glancesync.lab.state import LabOptions
from tests.fixtures.history import History, prepare_server
from tests.fixtures.history_plan import Shape
from tests.fixtures.history_report import Report

#: Chapters whose images live at once.
_KEPT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    directory = options.dir or Path(tempfile.mkdtemp(prefix="random-history-"))
    print(f"seed {options.seed}, {options.minutes:g} minutes, in {directory}", flush=True)
    lab = Lab(directory / "cloud")
    found: list[str] = ["it did not come to its end"]
    try:
        lab.up(LabOptions(token_expiration_seconds=180), with_server=False)
        prepare_server(lab)
        found = _tell(lab, options, directory)
    finally:
        lab.down(keep=bool(found))
    print(f"verdict for seed {options.seed}: {'all well' if not found else 'NOT well'}")
    return 1 if found else 0


def _tell(lab: Lab, options: argparse.Namespace, directory: Path) -> list[str]:
    """The findings of the chapter that had some; none when the time is over."""
    end = time.monotonic() + 60 * options.minutes
    told: list[tuple[History, Report]] = []
    while time.monotonic() < end:
        seed = f"{options.seed}/{len(told) + 1}"
        shape = Shape(operations=options.operations, copy_faults=3, copy_early=False, extra_faults=6,
                      pause_seconds=0.15, settle_seconds=300)
        history = History(lab, seed, shape, directory / f"chapter-{len(told) + 1}.log")
        report = history.run()
        told.append((history, report))
        print(report.sentence(), flush=True)
        if report.settled.findings:
            print("\n".join(f"    {sentence}" for sentence in report.settled.findings), flush=True)
            return report.settled.findings
        if len(told) >= _KEPT:
            told[-_KEPT][0].clean()
    operations, kills = (sum(counts) for counts in zip(*((report.operations, sum(report.kills.values()))
                                                         for _, report in told), strict=True))
    print(f"{len(told)} chapters, {operations} operations, {kills} kills")
    return []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="no chapter begins later (60)")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="of all chapters (a new one)")
    parser.add_argument("--operations", type=int, default=250, help="users' operations of each chapter (250)")
    parser.add_argument("--dir", type=Path, help="where the cloud and the journals lie (a new temporary folder)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
