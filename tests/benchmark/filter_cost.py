# SPDX-License-Identifier: Apache-2.0
"""What the filter costs Glance's users: PATCH, GET and list without it, with it, and with it while the server is dead.

    python -m tests.benchmark.filter_cost [--quick] [--rounds 12] [--calls 40] [--lab-dir DIR]

Four glance-api processes serve the cascading region at once, from one database and one store. Two have no filter: the
second shows what noise alone gives. One delivers to the sync server, one to a port where nobody listens. Each round
makes so many calls of a kind to each, and takes their median and the CPU time of the process (with the thread that
delivers; in clock ticks of 10 ms). The sync server's strategy is None: copying is other work, and not Glance's.
"""
from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from glancesync.lab.images import Images
from glancesync.lab.ports import find_free_port
from tests.benchmark.clouds import Cloud, SideGlance, add_lab_options, pids_of, side_glance, standing_cloud
from tests.benchmark.rounds import Row, Sample, clocked, cpu_seconds, interleave, new_parser, parse, print_table, spread

OFF, AGAIN, ON, DEAD = "off", "off, a second one", "on", "on, server dead"
#: Events of a side are delivered before the next side's turn.
SETTLE_SECONDS = 0.3
LISTED = 50
Call = Callable[[Images, str], object]
CALLS: Mapping[str, Call] = {
    "PATCH": lambda images, image_id: images.set(image_id, name=f"n {uuid.uuid4()}"),
    "GET": lambda images, image_id: images.get(image_id),
    f"list of {LISTED}": lambda images, _image_id: images.list(limit=str(LISTED), owner=OWNER),
}
OWNER = uuid.uuid4().hex


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser(__doc__, rounds=12, quick_rounds=2)
    parser.add_argument("--calls", type=int)
    add_lab_options(parser)
    options = parse(parser, arguments)
    calls = options.calls or (3 if options.quick else 40)
    with standing_cloud(options, sync_strategy="None") as cloud, ExitStack() as stack:
        nobody = find_free_port(cloud.lab.state.ports.values())
        sides = {OFF: {"filtered": False}, AGAIN: {"filtered": False}, ON: {"filtered": True},
                 DEAD: {"filtered": True, "server_port": nobody}}
        glances = {name: stack.enter_context(side_glance(cloud.lab, str(number), **how))
                   for number, (name, how) in enumerate(sides.items())}
        measure(cloud, glances, options.rounds, calls)


def measure(cloud: Cloud, glances: Mapping[str, SideGlance], rounds: int, calls: int) -> None:
    images = {name: Images(cloud.admin, glance.url) for name, glance in glances.items()}
    made = [images[OFF].create(name="benchmark", owner=OWNER)["id"] for _ in range(LISTED)]
    own = dict(zip(glances, made, strict=False))
    try:
        for name, some in images.items():  # connections, tokens and caches are there before the first round
            for call in CALLS.values():
                call(some, own[name])
        rows: list[Row] = []
        for kind, call in CALLS.items():
            results = interleave({name: partial(_block, call, glances[name], images[name], own[name], calls)
                                  for name in glances}, rounds)
            rows += [(kind, name, results.values(name, "ms").text(1), results.ratio(name, OFF, "ms").text(3),
                      f"{results.values(name, 'cpu_ms').median:.1f}", results.total_ratio(name, OFF, "cpu_ms"))
                     for name in glances]
    finally:
        for image_id in made:
            images[OFF].ensure_deleted(image_id)
    print_table(f"The filter's cost, {rounds} rounds of {calls} calls", HEADER, rows)


HEADER = ("call", "filter", "ms: median (spread)", "ratio to off (spread)", "CPU ms", "CPU ratio to off, all rounds")


def _block(call: Call, glance: SideGlance, images: Images, image_id: str, calls: int) -> Sample:
    pids = pids_of(glance)
    before = cpu_seconds(pids)
    times = [clocked(lambda: call(images, image_id)) * 1000 for _ in range(calls)]
    time.sleep(SETTLE_SECONDS)
    return {"ms": spread(times).median, "cpu_ms": (cpu_seconds(pids) - before) * 1000 / calls}


if __name__ == "__main__":
    main()
