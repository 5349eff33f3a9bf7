# SPDX-License-Identifier: Apache-2.0
"""A server process among those that share a database: who it is, and how it is."""
from __future__ import annotations

from dataclasses import dataclass

from glancesync.model.meaning import Explained

#: A server that gave no sign of life for so long is shown as silent, and counts for nothing.
SILENT_SECONDS = 15.0


class ServerState(Explained):
    """How a server process is."""

    SERVING = ("serving", "It takes tasks and answers.", "It goes on.", "Nothing.")
    STOPPING = ("stopping", "It was told to stop: it takes no tasks, and ends or hands back those that it runs.",
                "It leaves the list when it has ended.", "Wait `graceful_shutdown_seconds`, or tell it a second time.")
    SILENT = ("silent", "It gave no sign of life for 15 seconds: it was killed, stands still, or does not reach the "
              "database.",
              "Other servers take its tasks when their leases end; after an hour without a sign it leaves the list.",
              "Look at its host and its log; start it again.")


@dataclass(frozen=True, kw_only=True)
class ServerIdentity:
    """`name` is this incarnation's, under which it owns tasks. `engine` is what runs its tasks."""

    name: str
    host: str
    pid: int
    version: str
    engine: str = "local"


def worker_engine(engine: str) -> str:
    """How a process that runs what servers of the engine publish, and answers nobody, names its engine."""
    return f"{engine} worker"


def is_worker(engine: str) -> bool:
    """Whether such a process named it so."""
    return engine.endswith(worker_engine(""))


@dataclass(frozen=True, kw_only=True)
class Power:
    """What a server can do now: `capacity` tasks at once (0: others run them), and what keeps tasks from being run."""

    capacity: int | None = None
    trouble: str | None = None
