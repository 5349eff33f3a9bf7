# SPDX-License-Identifier: Apache-2.0
"""How fast tasks are run by the engine `local` and by a fleet of workers, on one PostgreSQL, beside a RabbitMQ.

    python -m tests.benchmark.engines [--quick] [--rounds 5] [--workers 1,2]

Database and broker run on this machine too, the database without fsync. Runs do nothing. This process is the server,
green as a server is: it submits, and with `local` runs the tasks itself; workers are processes of their own. Rates are
from the first request to the last end, 16 at once in each process; from submit to start is counted on the database's
clock, one task at a time.
"""
from __future__ import annotations

from glancesync import concurrency

concurrency.monkey_patch()

import os  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402

import sqlalchemy as sa  # noqa: E402

from glancesync.db.engine import Database  # noqa: E402
from glancesync.db.schema import tasks  # noqa: E402
from glancesync.model.task import Trigger  # noqa: E402
from tests.benchmark.engines_process import Process, new_process  # noqa: E402
from tests.benchmark.queue_load import pairs  # noqa: E402
from tests.benchmark.rounds import Sample, Side, interleave, new_parser, parse, print_table, spread  # noqa: E402
from tests.fixtures.databases import Servers  # noqa: E402
from tests.fixtures.fleet import amqp_url  # noqa: E402
from tests.fixtures.rabbitmq import RabbitMQ  # noqa: E402

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser(__doc__, rounds=5, quick_rounds=1)
    parser.add_argument("--workers", default="1,2")
    options = parse(parser, arguments)
    many, few = (60, 20) if options.quick else (1_000, 100)
    servers = Servers()
    with tempfile.TemporaryDirectory() as folder:
        broker = RabbitMQ(Path(folder) / "rabbitmq")
        try:
            broker.start()
            bench = Bench(servers.get("postgresql").create_database("engines"), amqp_url(broker))
            sides: dict[str, Side] = {"local": partial(bench.measure, "local", 0, many=many, few=few)}
            for number in map(int, options.workers.split(",")):
                sides[f"celery, workers: {number}"] = partial(bench.measure, "celery", number, many=many, few=few)
            show(sides, options.rounds)
        finally:
            broker.kill()
            servers.end()


def show(sides: dict[str, Side], rounds: int) -> None:
    results = interleave(sides, rounds)
    measures = {"runs/s": ("rate", 0), "submit to start, p50 ms": ("p50", 1), "p95 ms": ("p95", 1)}
    print_table("Engines", ("engine", *measures), [
        (name, *(results.values(name, measure).text(digits) for measure, digits in measures.values()))
        for name in sides])


class Bench:
    """A database and a broker; server and workers come and go."""

    def __init__(self, url: str, broker_url: str) -> None:
        self._url, self._broker_url = url, broker_url
        self._database = Database(url)
        self._database.sync()

    def measure(self, engine: str, workers: int, *, many: int, few: int) -> Sample:
        self._database.run(lambda connection: connection.execute(sa.delete(tasks)) and None)
        server = new_process(engine, self._url, self._broker_url, runs_tasks=engine == "local")
        others = [self._start_worker() for _ in range(workers)]
        threads = server.start()
        try:
            self._once(server)  # connections, queues and plans are there
            while workers and self._capacity() < 16 * workers:
                concurrency.sleep(0.1)
            delays = sorted(self._once(server) for _ in range(few))
            rate = self._rate(server, many)
        finally:
            server.stop(threads)
            for other in others:
                other.terminate()
                other.wait(30)
        return {"rate": rate, "p50": spread(delays).median, "p95": delays[len(delays) * 95 // 100]}

    def _once(self, server: Process) -> float:
        """Milliseconds from the request to the start of its run."""
        [task] = server.queue.submit(pairs(1), trigger=Trigger.EVENT)
        server.engine.ring()
        self._wait(1)
        found = server.queue.get_task(task.id)
        self._database.run(lambda connection: connection.execute(sa.delete(tasks)) and None)
        return ((found.started_at or 0) - found.created_at) * 1000

    def _rate(self, server: Process, count: int) -> float:
        began = time.perf_counter()
        server.queue.submit(pairs(count), trigger=Trigger.EVENT)
        server.engine.ring()
        self._wait(count)
        return count / (time.perf_counter() - began)

    def _wait(self, count: int) -> None:
        """Until so many tasks are done."""
        done = sa.select(sa.func.count()).select_from(tasks).where(tasks.c.state == "done")
        with concurrency.Timeout(120):
            while self._database.read(lambda connection: connection.execute(done).scalar()) != count:
                concurrency.sleep(0.02)

    def _capacity(self) -> int:
        found = sa.text("SELECT coalesce(sum(capacity), 0) FROM servers WHERE state = 'serving'")
        return int(self._database.read(lambda connection: connection.execute(found).scalar()) or 0)

    def _start_worker(self) -> subprocess.Popen[bytes]:
        # The URLs may hold passwords.
        return subprocess.Popen([sys.executable, "-m", "tests.benchmark.engines_process"], cwd=ROOT,
                                env={**os.environ, "DATABASE": self._url, "BROKER": self._broker_url})


if __name__ == "__main__":
    main()
