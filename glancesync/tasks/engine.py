# SPDX-License-Identifier: Apache-2.0
"""What runs tasks in a process, and how it is found. Engines are stevedore drivers of the namespace below; cmd loads
the one that `[worker] engine` names, the daemon runs it.

Whatever the engine: the database's rows are the truth, a claim decides who runs a task, and each later write names its
owner and fence. An engine only decides which process claims when.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from stevedore import DriverManager
from stevedore.exception import NoMatches

from glancesync.clock import Clock
from glancesync.conf.celery import CelerySettings
from glancesync.conf.worker import WorkerSettings
from glancesync.db.engine import Database
from glancesync.exceptions import ConfigurationError, GlanceSyncError
from glancesync.model.task import Outcome
from glancesync.tasks.gate import Gate, OpenGate
from glancesync.tasks.handle import TaskHandle
from glancesync.tasks.queue import TaskQueue
from glancesync.tasks.runner import Result
from glancesync.tasks.watch import NoWatch, RunWatch

NAMESPACE = "glancesync.engines"


class Engine(Protocol):
    """One per process. Nothing runs before `run_forever` or `run_once`."""

    @property
    def name(self) -> str:
        """As `[worker] engine` and GET /v1/servers name it."""

    @property
    def capacity(self) -> int:
        """How many tasks this process runs at once; 0 where others run them."""

    @property
    def trouble(self) -> str | None:
        """What keeps tasks from being run, in words for an operator; None while nothing does."""

    @property
    def running(self) -> int:
        """How many tasks run in this process now."""

    @property
    def internal_errors(self) -> int:
        """Errors since the start that nobody foresaw; each is in the log with its traceback."""

    def guard(self, doing: str, function: Callable[..., Result], *args: object) -> Result | Exception:
        """For loops beside the engine's own that may not end either: what the function returns, or its error."""

    def ring(self) -> None:
        """Something was submitted: look at the queue now."""

    def run_forever(self) -> None:
        """See that what is due is run, until `stop()` has ended everything."""

    def run_once(self) -> int:
        """See that what is due and fits now is run; how many tasks that were."""

    def drain(self) -> None:
        """Wait until nothing runs in this process."""

    def stop_runs(self, region: str, error: GlanceSyncError) -> None:
        """Have what runs here in the region end with the error at its next look."""

    def stop(self, graceful_seconds: float) -> None:
        """Start nothing more, give what runs here so much time to end, then hand it back to the queue. A second call,
        with less time, overtakes the first."""


@dataclass(frozen=True, kw_only=True)
class EngineParts:
    """What an engine is made of. `runs_tasks` is false in a server whose engine has other processes run them;
    `recovers`: whether this process takes back what an earlier incarnation of the server left; `servers`: how many
    share the queue now. `settings` and `celery` give what is in force when they are asked."""

    database: Database
    queue: TaskQueue
    run: Callable[[TaskHandle], Outcome]
    settings: WorkerSettings
    celery: CelerySettings
    clock: Clock
    random: Callable[[], float]
    gate: Gate = field(default_factory=OpenGate)
    watch: RunWatch = field(default_factory=NoWatch)
    recovers: bool = True
    runs_tasks: bool = True
    servers: Callable[[], int] = lambda: 1


def load_engine(name: str, parts: EngineParts) -> Engine:
    """Raises ConfigurationError, which names the fix, for one that is not installed, or cannot be made."""
    def fail(_manager: object, _entry: object, error: BaseException) -> None:
        if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("glancesync"):
            raise ConfigurationError(f"[worker] engine = {name} needs the Python package {error.name}: "
                                     f"pip install 'glancesync[{name}]'") from error
        raise ConfigurationError(f"[worker] engine = {name} cannot be loaded: {error}") from error

    try:
        found: DriverManager[Any] = DriverManager(NAMESPACE, name, on_load_failure_callback=fail)
    except NoMatches:
        raise ConfigurationError(f"[worker] engine = {name} names no engine that is installed; there are "
                                 f"{', '.join(list_engines())}") from None
    made: Engine = found.driver(parts)
    return made


def list_engines() -> list[str]:
    """The names of those that are installed. None of them is loaded."""
    from importlib.metadata import entry_points

    return sorted({each.name for each in entry_points(group=NAMESPACE)})
