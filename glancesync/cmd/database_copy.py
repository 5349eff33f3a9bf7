# SPDX-License-Identifier: Apache-2.0
"""`glance-sync-manage db copy`: on to another kind of database without losing a task. Called by `manage`."""
from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator

from oslo_config import cfg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from glancesync import conf as options
from glancesync.db.alone import SoleUse
from glancesync.db.copy import Told, copy_database
from glancesync.db.engine import Database
from glancesync.exceptions import ConfigurationError


def copy(conf: cfg.ConfigOpts, given: argparse.Namespace) -> int:
    """0 when all of it is there; raises GlanceSyncError, and then nothing is."""
    old_url = options.read_settings(conf).server.connection
    old = Database(old_url)
    old.open()
    new_url = options.read_settings(options.parse([f"--config-file={given.to_config_file}"],
                                                  prog="glance-sync-manage")).server.connection
    new = Database(new_url)
    if old_url == new_url:
        raise ConfigurationError(f"{given.to_config_file} names the database {new.description} too; give the new one")
    with _alone(old_url), _alone(new_url):
        new.sync()
        with _shown() as told:
            rows = copy_database(old, new, told=told)
    print(f"{sum(rows.values())} rows of {old.description} are in {new.description}: {rows['tasks']} tasks, "
          f"{rows['replicas']} replicas; start the servers with {given.to_config_file}, and keep the old database "
          "until a comparison found nothing amiss")
    return 0


@contextlib.contextmanager
def _alone(url: str) -> Iterator[None]:
    """An SQLite file is nobody else's meanwhile."""
    use = SoleUse(url)
    use.take()
    try:
        yield
    finally:
        use.release()


@contextlib.contextmanager
def _shown() -> Iterator[Told]:
    """A bar for each table; nothing where nobody looks."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        bars = {}

        def told(table: str, done: int, total: int) -> None:
            if table not in bars:
                bars[table] = progress.add_task(table, total=total)
            progress.update(bars[table], completed=done)

        yield told
