# SPDX-License-Identifier: Apache-2.0
"""What grows with the number of pairs (image, region), and what does not.

    python -m tests.benchmark.scale [--quick] [--rounds 9] [--backend sqlite] [--backend ...] [--dir DIR]

Over 1,000 regions 10, 100 and 1,000 images are loaded (scale_load): 10,000, 100,000 and 1,000,000 pairs, each with
its task and record. At each size it is measured how long a submit, a claim, a page of a listing and the like take, on
SQLite in DIR or what is named; database servers are started for it (without fsync). On SQLite a real server then
works on what waits, with its 1,000 regions answered by tests/fixtures/fake_cloud (one process; its Glances are in
memory), and a comparison that finds nothing is made in this process over Glances in memory.
"""
from __future__ import annotations

from glancesync import concurrency

concurrency.monkey_patch()

import functools  # noqa: E402
import tempfile  # noqa: E402
import uuid  # noqa: E402
from collections.abc import Callable, Mapping, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402

import sqlalchemy as sa  # noqa: E402

from glancesync.conf.worker import WorkerSettings  # noqa: E402
from glancesync.db.engine import Database  # noqa: E402
from glancesync.db.schema import tasks  # noqa: E402
from glancesync.model.sort import NEWEST_FIRST  # noqa: E402
from glancesync.model.task import Pair, Task, TaskFilter, TaskState, Trigger  # noqa: E402
from glancesync.service.statistics import count_tasks  # noqa: E402
from glancesync.service.views import ImageViews  # noqa: E402
from glancesync.tasks.queue import TaskQueue, new_owner  # noqa: E402
from tests.benchmark.rounds import Spread, clocked, new_parser, parse, print_table, spread  # noqa: E402
from tests.benchmark.scale_chart import draw  # noqa: E402
from tests.benchmark.scale_load import Load  # noqa: E402
from tests.benchmark.scale_pass import no_change_pass  # noqa: E402
from tests.benchmark.scale_server import server_memory  # noqa: E402
from tests.fixtures.databases import BACKENDS, Servers  # noqa: E402
from tests.fixtures.fake_cloud import image_ids  # noqa: E402

_SETTINGS = WorkerSettings(max_tasks=16, max_tasks_per_region=4)
_PAGE = 100
_DRAWN = ("claim 16 tasks", "submit, one new pair", "tasks: first page of 100", "tasks: page of 100 in the middle",
          "tasks: failed", "tasks: of one region", "images: one", "metrics: all counts")
Measures = Mapping[str, Spread]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser(__doc__, rounds=9, quick_rounds=2)
    parser.add_argument("--backend", action="append", choices=("sqlite", *BACKENDS))
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw SQLite's curves")
    parser.add_argument("--only-databases", action="store_true", help="no server, no comparison")
    parser.add_argument("--dir", type=Path)
    options = parse(parser, arguments)
    regions, sizes = (20, (2, 10)) if options.quick else (1000, (10, 100, 1000))
    with tempfile.TemporaryDirectory(dir=options.dir) as name:
        folder = Path(name)
        servers = Servers()
        try:
            for each in options.backend or ["sqlite"]:
                url = f"sqlite:///{folder}/scale.db" if each == "sqlite" \
                    else servers.get(each).create_database("scale")
                found = measure_database(url, regions, sizes, options.rounds)
                if options.svg and each == "sqlite":
                    draw(options.svg, "Milliseconds by the number of pairs, SQLite", {
                        what: {pairs: measured[what].median for pairs, measured in found.items()} for what in _DRAWN})
        finally:
            servers.end()
        if options.only_databases:
            return
        seconds = 5 if options.quick else 20
        print_table(f"A real server over {regions} regions, SQLite", (
            "pairs", f"tasks done in {seconds} s", "left waiting", "RSS at its start, MiB", "peak, MiB"), [
            server_memory(folder, regions, images, seconds=seconds) for images in sizes])
        print_table("A comparison that finds nothing, Glances in memory, SQLite", (
            "regions", "images", "pairs", "seconds", "µs for each pair", "peak RSS of this process, MiB"),
            [no_change_pass(folder, here, images)
             for here, images in ([(4, 10), (20, 10)] if options.quick else
                                  [(10, 1000), (100, 100), (1000, 10), (100, 1000)])])


def measure_database(url: str, regions: int, sizes: Sequence[int], rounds: int) -> dict[int, Measures]:
    database = Database(url)
    database.sync()
    names = [f"Region{number:04}" for number in range(regions)]
    load, found = Load(database, names), dict[int, Measures]()
    for images in sizes:
        seconds = clocked(lambda: load.bring_to(images))  # noqa: B023 - used at once
        print(f"{database.description.split()[1]}: {images * regions} pairs after {seconds:.1f} s more", flush=True)
        found[images * regions] = measure(database, names, images, rounds)
    first = next(iter(found.values()))
    database.close()
    print_table(f"{database.description.split()[1]}, {regions} regions, milliseconds: median (quartiles)", (
        "what", *(f"{pairs:,} pairs" for pairs in found), "last over first"), [
        (what, *(measured[what].text(1) for measured in found.values()),
         f"{measured_last.median / base.median:.2f}")
        for what, base in first.items() for measured_last in [list(found.values())[-1][what]]])
    return found


def measure(database: Database, regions: Sequence[str], images: int, rounds: int) -> Measures:
    queue, views = TaskQueue(database, new_owner("scale"), _SETTINGS), ImageViews(database)
    ids, middle = image_ids(images), regions[len(regions) // 2]
    deep = _deep_task(database, images * len(regions))
    works: dict[str, Callable[[], object]] = {
        "submit, one new pair": lambda: queue.submit(_new_pairs(regions, 1), trigger=Trigger.EVENT),
        "submit, 100 pairs that are there": lambda: queue.submit(
            [Pair(ids[0], name) for name in regions[:100]], trigger=Trigger.EVENT),
        "tasks: first page of 100": lambda: queue.list_tasks(TaskFilter(), _PAGE),
        "tasks: page of 100 in the middle": lambda: queue.list_tasks(TaskFilter(), _PAGE, deep),
        "tasks: failed": lambda: queue.list_tasks(TaskFilter(states=frozenset({TaskState.FAILED})), _PAGE),
        "tasks: running, of which there is none": lambda: queue.list_tasks(
            TaskFilter(states=frozenset({TaskState.RUNNING})), _PAGE),
        "tasks: of one region": lambda: queue.list_tasks(TaskFilter(regions=frozenset({middle})), _PAGE),
        "tasks: failed in one region": lambda: queue.list_tasks(
            TaskFilter(states=frozenset({TaskState.FAILED}), regions=frozenset({middle})), _PAGE),
        "tasks: of one image": lambda: queue.list_tasks(TaskFilter(image_id=ids[-1]), _PAGE),
        "images: first page of 5": lambda: _images(views),
        "images: page of 5 in the middle": lambda: _images(views, marker=ids_in_order(images)[images // 2]),
        "images: failed in one region": lambda: _images(views, state="failed", region=middle),
        "images: one": lambda: views.get_image(ids[-1]),
        "metrics: all counts": lambda: (count_tasks(database), views.count_states()),
    }
    found = {what: spread([1000 * clocked(work) for _ in range(rounds)]) for what, work in works.items()}
    return {"claim 16 tasks": spread([1000 * _claim(queue) for _ in range(rounds)]), **found}


@functools.cache
def ids_in_order(count: int) -> list[str]:
    return sorted(image_ids(count))


def _images(views: ImageViews, marker: str | None = None, **filters: str) -> None:
    views.list_images(limit=5, marker=marker, owner=None, filters=filters)


def _new_pairs(regions: Sequence[str], count: int) -> list[Pair]:
    return [Pair(str(uuid.uuid4()), name) for name in regions[:count]]


def _claim(queue: TaskQueue) -> float:
    """Seconds; what was claimed is handed back, so that as many wait for the next one."""
    claimed: list[Task] = []
    seconds = clocked(lambda: claimed.extend(queue.claim(lambda _region: 4, 16)))
    for task in claimed:
        queue.release(task)
    return seconds


def _deep_task(database: Database, total: int) -> str:
    """One in the middle of the newest-first order."""
    def work(connection: sa.Connection) -> str:
        return str(connection.scalar(sa.select(tasks.c.id).order_by(
            getattr(tasks.c, NEWEST_FIRST.key).desc(), tasks.c.id.desc()).offset(total // 2).limit(1)))

    return database.read(work)


if __name__ == "__main__":
    main()
