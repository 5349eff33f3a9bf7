#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers that share a queue, one killed with -9 every two seconds, round after round for as long as is asked for.

    .venv/bin/python tests/soak/servers.py --minutes 60 [--seed SEED] [--tasks 2000]
                                           [--databases sqlite,postgresql,mariadb,galera]

Each round is on the next of the databases, with a cloud of its own that only answers. Prints its seed, a line for each
round and the verdict; the exit status is 0 only when every task was done, none ran twice at once, and all regions
ended equal. The first round with a finding ends it, and leaves its logs.
"""
from __future__ import annotations

import argparse
import itertools
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

# Run as a script, the root is not on the path before.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fixtures.databases import Servers
from tests.fixtures.killing import Killing


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    end, servers, well = time.monotonic() + 60 * options.minutes, Servers(), True
    try:
        for number, backend in enumerate(itertools.cycle(options.databases.split(",")), 1):
            well = _round(servers, backend, options.tasks, f"{options.seed}/{number}")
            if not well or time.monotonic() > end:
                break
    finally:
        servers.end()
    print(f"verdict for seed {options.seed}: {'all well' if well else 'NOT well'}")
    return 0 if well else 1


def _round(servers: Servers, backend: str, tasks: int, seed: str) -> bool:
    """Whether nothing was found."""
    folder = Path(tempfile.mkdtemp(prefix="servers-"))
    urls = [] if backend == "sqlite" else servers.spread(servers.create_database(backend), 3)
    killing = Killing(folder, urls=urls, tasks=tasks, seed=seed)
    try:
        killing.run(deadline_seconds=max(600.0, tasks),
                    tell=lambda text: print(f"{seed} {backend}: {text}", flush=True))
    except AssertionError as finding:
        print(f"{seed} {backend}: {finding}; logs in {folder}", flush=True)
        return False
    finally:
        killing.end()
    shutil.rmtree(folder)
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--databases", default="sqlite,postgresql,mariadb,galera")
    return parser


if __name__ == "__main__":
    sys.exit(main())
