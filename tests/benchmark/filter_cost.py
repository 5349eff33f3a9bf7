# SPDX-License-Identifier: Apache-2.0
"""What the filter costs Glance's users: PATCH, GET and list without it, with it, and with it while the server is dead.

    python -m tests.benchmark.filter_cost [--quick] [--starts 4] [--rounds 3] [--calls 60] [--lab-dir DIR]

Four glance-api processes serve the cascading region at once, from one database and one store. Two have no filter: the
second shows what noise alone gives. One delivers to the sync server, one to a port where nobody listens. The calls of
a round go round in turns, one to each process, each time beginning with another; a round gives each process's median
and its CPU time (with the thread that delivers; in clock ticks of 10 ms). Two processes of the same program may differ
for as long as they live, so all four are started anew several times. The sync server's strategy is None: copying is
other work, and not Glance's.
"""
from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from glancesync.lab.images import Images
from glancesync.lab.ports import find_free_port
from tests.benchmark.clouds import Cloud, SideGlance, add_lab_options, pids_of, side_glance, standing_cloud
from tests.benchmark.rounds import Results, clocked, cpu_seconds, new_parser, parse, print_table, spread

OFF, AGAIN, ON, DEAD = "off", "off, a second one", "on", "on, server dead"
#: Between two calls: what the one left to be delivered does not meet the other.
SETTLE_SECONDS = 0.02
LISTED = 50
OWNER = uuid.uuid4().hex
Call = Callable[[Images, str], object]
CALLS: Mapping[str, Call] = {
    "PATCH": lambda images, image_id: images.set(image_id, name=f"n {uuid.uuid4()}"),
    "GET": lambda images, image_id: images.get(image_id),
    f"list of {LISTED}": lambda images, _image_id: images.list(limit=str(LISTED), owner=OWNER),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser(__doc__, rounds=3, quick_rounds=1)
    parser.add_argument("--starts", type=int, help="how often the four are started (4, with --quick 1)")
    parser.add_argument("--calls", type=int, help="of each kind, a round and process (60, with --quick 3)")
    add_lab_options(parser)
    options = parse(parser, arguments)
    calls = options.calls or (3 if options.quick else 60)
    starts = options.starts or (1 if options.quick else 4)
    results = {kind: Results() for kind in CALLS}
    with standing_cloud(options, sync_strategy="None") as cloud:
        nobody = find_free_port(cloud.lab.state.ports.values())
        off, on = {"filtered": False}, {"filtered": True}
        sides: dict[str, dict[str, Any]] = {OFF: off, AGAIN: off, ON: on, DEAD: {**on, "server_port": nobody}}
        for start in range(starts):
            with ExitStack() as stack:
                glances = {name: stack.enter_context(side_glance(cloud.lab, str(number), **sides[name]))
                           for number, name in enumerate(_turned(list(sides), start))}
                measure(cloud, glances, options.rounds, calls, results)
    rows = [(kind, name, some.values(name, "ms").text(1), some.ratio(name, OFF, "ms").text(3),
             f"{some.values(name, 'cpu_ms').median:.1f}", some.total_ratio(name, OFF, "cpu_ms"))
            for kind, some in results.items() for name in sides]
    print_table(f"The filter's cost, {starts} starts, {options.rounds} rounds of {calls} calls each", HEADER, rows)


HEADER = ("call", "filter", "ms: median (spread)", "ratio to off (spread)", "CPU ms", "CPU ratio to off, all rounds")


def measure(cloud: Cloud, glances: Mapping[str, SideGlance], rounds: int, calls: int,
            results: Mapping[str, Results]) -> None:
    """Add what so many rounds of each kind of call give."""
    images = {name: Images(cloud.admin, glance.url) for name, glance in glances.items()}
    made = [images[OFF].create(name="benchmark", owner=OWNER)["id"] for _ in range(LISTED)]
    own = dict(zip(images, made, strict=False))
    try:
        for name, some in images.items():  # connections, tokens and caches are there before the first round
            for call in CALLS.values():
                call(some, own[name])
        for _ in range(rounds):
            for kind, call in CALLS.items():
                _round({name: _bound(call, images[name], own[name]) for name in images}, glances, calls, results[kind])
    finally:
        for image_id in made:
            images[OFF].ensure_deleted(image_id)


def _bound(call: Call, images: Images, image_id: str) -> Callable[[], object]:
    return lambda: call(images, image_id)


def _round(sides: Mapping[str, Callable[[], object]], glances: Mapping[str, SideGlance], calls: int,
           results: Results) -> None:
    """So many calls of each side, in turns."""
    pids = {name: pids_of(glances[name]) for name in sides}
    before = {name: cpu_seconds(pids[name]) for name in sides}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(calls):
        for name in _turned(list(sides), number):
            times[name].append(clocked(sides[name]) * 1000)
            time.sleep(SETTLE_SECONDS)
    for name in sides:
        results.add(name, {"ms": spread(times[name]).median,
                           "cpu_ms": (cpu_seconds(pids[name]) - before[name]) * 1000 / calls})


def _turned(names: list[str], number: int) -> list[str]:
    turn = number % len(names)
    return names[turn:] + names[:turn]


if __name__ == "__main__":
    main()
