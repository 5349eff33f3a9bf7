# SPDX-License-Identifier: Apache-2.0
"""How fast several processes work on one queue, on each kind of database.

    python -m tests.benchmark.shared_queue [--quick] [--rounds 3] [--databases sqlite,postgresql,mariadb]
                                           [--processes 1,2,4] [--pending 100000]

The databases' servers run on this machine too, without fsync. Submits go into all processes at the same time, while
nothing runs. Runs do nothing; while they are counted, so many tasks are pending. From submit to start: in the process
that was asked, while all are idle.
"""
from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from glancesync.db.engine import Database
from glancesync.db.schema import tasks
from glancesync.model.task import Trigger
from glancesync.tasks.queue import TaskQueue, new_owner
from tests.benchmark.queue_load import BATCH, SETTINGS, pairs
from tests.benchmark.rounds import Sample, Side, clocked, interleave, new_parser, parse, print_table, spread
from tests.fixtures.databases import Servers

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser(__doc__, rounds=3, quick_rounds=1)
    parser.add_argument("--databases", default="sqlite,postgresql,mariadb")
    parser.add_argument("--processes", default="1,2,4")
    parser.add_argument("--pending", type=int)
    options = parse(parser, arguments)
    pending = options.pending or (1_000 if options.quick else 100_000)
    seconds, count = (0.5, 40) if options.quick else (4.0, 400)
    servers = Servers()
    try:
        with tempfile.TemporaryDirectory() as folder:
            sides: dict[str, Side] = {}
            for kind in options.databases.split(","):
                shared = Shared(_new_url(kind, servers, Path(folder)), pending)
                sides |= {f"{kind}, {number}": partial(shared.measure, int(number), seconds=seconds, count=count)
                          for number in options.processes.split(",")}
            show(sides, options.rounds, pending)
    finally:
        servers.end()


def show(sides: Mapping[str, Side], rounds: int, pending: int) -> None:
    results = interleave(sides, rounds)
    measures = {"submits/s one by one (aim 400)": ("one", 0), "by 100 (aim 3000)": ("many", 0),
                f"runs/s, {pending:,} pending": ("runs", 0), "submit to start, p50 ms": ("p50", 1),
                "p95 ms (aim 20)": ("p95", 1)}
    print_table("A queue that is shared", ("database, processes", *measures), [
        (name, *(results.values(name, measure).text(digits) for measure, digits in measures.values()))
        for name in sides])


class Shared:
    """A database; processes come and go."""

    def __init__(self, url: str, pending: int) -> None:
        self._url = url
        self._pending = pending
        database = Database(url)
        database.sync()
        self._queue = TaskQueue(database, new_owner("benchmark"), SETTINGS)
        self._database = database

    def measure(self, processes: int, *, seconds: float, count: int) -> Sample:
        self._empty()
        others = [Other(self._url) for _ in range(processes)]
        try:
            with ThreadPoolExecutor(processes) as pool:
                def everywhere(command: Mapping[str, object]) -> list[Any]:
                    return list(pool.map(lambda other: other.ask(**command), others))

                everywhere({"do": "ended"})  # all have started
                rates = {name: processes * count * factor / clocked(partial(everywhere, {
                    "do": "submit", "count": count * factor, "at_once": at_once}))
                    for name, at_once, factor in (("one", 1, 1), ("many", BATCH, 10))}
                self._empty()
                everywhere({"do": "work"})
                delays = sorted(others[0].ask(do="delays", count=max(count // 4, 20)))
                everywhere({"do": "rest"})
                self._fill()
                everywhere({"do": "work"})
                runs = self._rate(lambda: sum(everywhere({"do": "ended"})), seconds)
                everywhere({"do": "rest"})
        finally:
            for other in others:
                other.end()
        return {**rates, "runs": runs, "p50": spread(delays).median, "p95": delays[len(delays) * 95 // 100]}

    def _rate(self, ended: Callable[[], int], seconds: float) -> float:
        """Runs a second, once they go."""
        time.sleep(seconds / 4)
        before, at = ended(), time.perf_counter()
        time.sleep(seconds)
        return (ended() - before) / (time.perf_counter() - at)

    def _empty(self) -> None:
        self._database.run(lambda connection: connection.execute(sa.delete(tasks)))

    def _fill(self) -> None:
        for start in range(0, self._pending, 1000):
            self._queue.submit(pairs(min(1000, self._pending - start)), trigger=Trigger.EVENT)


class Other:
    """A process (shared_queue_process)."""

    def __init__(self, url: str) -> None:
        here, there = socket.socketpair()
        with there:
            self._process = subprocess.Popen([sys.executable, "-m", "tests.benchmark.shared_queue_process"],
                                             cwd=ROOT, stdin=there.fileno())
        self._connection = here
        self._lines = here.makefile("rwb")
        self._say({"url": url})

    def ask(self, **command: object) -> Any:
        """Its answer."""
        self._say(command)
        line = self._lines.readline()
        if not line:
            raise RuntimeError("a process of the benchmark ended; its standard error tells why")
        return json.loads(line)["answer"]

    def end(self) -> None:
        self._lines.close()
        self._connection.close()
        self._process.wait(30)

    def _say(self, command: Mapping[str, object]) -> None:
        self._lines.write(json.dumps(command).encode() + b"\n")
        self._lines.flush()


def _new_url(kind: str, servers: Servers, folder: Path) -> str:
    return f"sqlite:///{folder}/queue.db" if kind == "sqlite" else servers.get(kind).create_database("queue")


if __name__ == "__main__":
    main()
