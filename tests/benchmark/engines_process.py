# SPDX-License-Identifier: Apache-2.0
"""A server or a worker of the engines' benchmark: queue, engine and signs of life, and runs that do nothing. Run as a
module it is a worker, until SIGTERM; the URLs come in the variables DATABASE and BROKER."""
from __future__ import annotations

from glancesync import concurrency

concurrency.monkey_patch()

import os  # noqa: E402
import random  # noqa: E402
import signal  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from typing import Any  # noqa: E402

from glancesync.clock import SystemClock  # noqa: E402
from glancesync.conf.celery import CelerySettings  # noqa: E402
from glancesync.conf.worker import WorkerSettings  # noqa: E402
from glancesync.db.engine import Database  # noqa: E402
from glancesync.db.following import DatabaseClock  # noqa: E402
from glancesync.model.server import Power, ServerIdentity  # noqa: E402
from glancesync.model.task import Outcome  # noqa: E402
from glancesync.service.servers import Presence  # noqa: E402
from glancesync.tasks.engine import Engine, EngineParts, load_engine  # noqa: E402
from glancesync.tasks.queue import TaskQueue, new_owner  # noqa: E402

SETTINGS = WorkerSettings(max_tasks=16, max_tasks_per_region=1000)


@dataclass(frozen=True, kw_only=True)
class Process:
    database: Database
    queue: TaskQueue
    engine: Engine
    presence: Presence

    def start(self) -> list[concurrency.GreenThread]:
        self.presence.run_once()
        return [concurrency.spawn(self.engine.run_forever), concurrency.spawn(self.presence.run_forever)]

    def stop(self, threads: list[concurrency.GreenThread]) -> None:
        self.engine.stop(5)
        threads[0].wait()
        concurrency.kill(threads[1])
        self.presence.leave()
        self.database.close()


def new_process(engine: str, url: str, broker_url: str, *, runs_tasks: bool) -> Process:
    database = Database(url)
    queue = TaskQueue(database, new_owner(f"benchmark-{os.getpid()}"), SETTINGS)
    made = load_engine(engine, EngineParts(
        database=database, queue=queue, run=lambda _handle: Outcome(code="in_sync", reason="nothing to do"),
        settings=SETTINGS, celery=CelerySettings(broker_url=broker_url), clock=SystemClock(), random=random.random,
        runs_tasks=runs_tasks))
    presence = Presence(database=database, clock=DatabaseClock(SystemClock()), guard=made.guard,
                        power=lambda: Power(capacity=made.capacity, trouble=made.trouble), identity=ServerIdentity(
                            name=queue.owner, host="here", pid=os.getpid(), version="0", engine=made.name))
    return Process(database=database, queue=queue, engine=made, presence=presence)


def main() -> None:
    process = new_process("celery", os.environ["DATABASE"], os.environ["BROKER"], runs_tasks=True)
    consumer: Any = process.engine.consumer  # type: ignore[attr-defined]
    threads, ends = process.start(), concurrency.Event()
    consuming = concurrency.spawn(consumer.run_forever, [f"Region{number}" for number in range(10)])
    signal.signal(signal.SIGTERM, lambda *_: concurrency.spawn(ends.send))
    ends.wait()
    consumer.stop()
    process.stop(threads)
    concurrency.kill(consuming)


if __name__ == "__main__":
    main()
