# SPDX-License-Identifier: Apache-2.0
"""A comparison of all regions that finds nothing to do, against only listing them.

    python -m tests.benchmark.reconcile_pass [--quick] [--rounds 5] [--images 300] [--lab-dir DIR]

All run in this process, green as the server is, with the server's own client, page size and order of requests. The
comparison also reads its records, diffs and plans each pair, and asks for the members of shared images: a listing does
not show them, so each costs a request in every region. The timer's comparisons ask for those whose turn it is (with the
defaults a comparison every 20 minutes, and everybody's turn within 6 hours), the first one and those that somebody asks
for ask for all. It is measured with community images, which have no members, and with images of Glance's default
visibility, shared.
"""
from __future__ import annotations

from glancesync import concurrency

concurrency.monkey_patch()

import time  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import Callable, Iterator, Sequence  # noqa: E402
from functools import partial  # noqa: E402
from itertools import count  # noqa: E402

from glancesync import conf as options_of  # noqa: E402
from glancesync.cmd.build import Server, build  # noqa: E402
from glancesync.conf.reconcile import ReconcileSettings  # noqa: E402
from glancesync.lab.images import Images  # noqa: E402
from glancesync.model.image import Member  # noqa: E402
from glancesync.regions.client import RegionClient  # noqa: E402
from glancesync.sync.findings import PassReport  # noqa: E402
from glancesync.sync.rotation import Turns  # noqa: E402
from glancesync.sync.windows import list_all  # noqa: E402
from tests.benchmark.clouds import Cloud, add_lab_options, side_glance, standing_cloud  # noqa: E402
from tests.benchmark.metadata_rate import in_parallel, new_ids, post_and_put  # noqa: E402
from tests.benchmark.rounds import Sample, interleave, new_parser, parse, print_table  # noqa: E402

LISTING, TIMED, FULL = "listing alone", "comparison, the timer's", "comparison, all members"
HEADER = ("images", "what", "seconds: median (spread)", "ratio to listing (spread)", "CPU of this process, ratio",
          "requests for members, all rounds")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser(__doc__, rounds=5, quick_rounds=2)
    parser.add_argument("--images", type=int)
    add_lab_options(parser)
    options = parse(parser, arguments)
    number = options.images or (6 if options.quick else 300)
    with standing_cloud(options) as cloud:
        rows = []
        made = new_ids(number)
        for visibility in ("community", "shared"):
            fill(cloud, visibility, made)
            cloud.lab.server.stop()  # its database serves one process
            rows += measure(cloud, visibility, options.rounds)
            cloud.lab.server.bring_up()
        print_table(f"A comparison without a difference, {len(cloud.lab.regions)} regions", HEADER, rows)


def fill(cloud: Cloud, visibility: str, made: list[str]) -> None:
    """Images of this visibility, in sync everywhere."""
    with side_glance(cloud.lab, "source", filtered=False) as quiet:
        images = Images(cloud.admin, quiet.url)
        known = {record["id"] for record in images.list(visibility="all")}
        in_parallel([partial(post_and_put, images, image_id) for image_id in made if image_id not in known])
        in_parallel([partial(images.set, image_id, visibility=visibility) for image_id in made])
    cloud.sync(made)
    cloud.wait_synced(made, 1200)


def measure(cloud: Cloud, visibility: str, rounds: int) -> list[tuple[str, ...]]:
    server = build(options_of.parse(["--config-file", str(cloud.lab.server.conf_path)], prog="glance-sync"))
    server.database.open()
    server.directory.load()
    try:
        total = sum(1 for _ in listed(server))
        asked = count_members(server)
        timed = _turns(server)
        results = interleave({LISTING: lambda: _clocked(lambda: len(listed(server)), total, asked),
                              TIMED: lambda: _clocked(lambda: compared(server, next(timed)), total, asked),
                              FULL: lambda: _clocked(lambda: compared(server, None), total, asked)}, rounds)
    finally:
        server.database.close()
    return [(f"{total} {visibility}", name, results.values(name, "seconds").text(),
             results.ratio(name, LISTING, "seconds").text(), results.total_ratio(name, LISTING, "cpu"),
             f"{results.total(name, 'members'):.0f}")
            for name in (LISTING, TIMED, FULL)]


def _turns(server: Server) -> Iterator[Turns]:
    """Those of the timer's comparisons one after the other, with the default intervals."""
    settings, names = ReconcileSettings(), [each.name for each in server.directory.cascaded()]
    for number in count(1):
        now = number * float(settings.reconcile_interval_seconds)
        yield Turns(now=now, interval_seconds=settings.members_interval_seconds,
                    before=dict.fromkeys(names, now - settings.reconcile_interval_seconds))


def count_members(server: Server) -> Counter[str]:
    """Counts from now on how often members are asked for, by region."""
    asked: Counter[str] = Counter()

    def watch(client: RegionClient) -> None:
        ask = client.list_members

        def counted(image_id: str) -> tuple[Member, ...]:
            asked[client.region_name] += 1
            return ask(image_id)

        client.list_members = counted  # type: ignore[method-assign]

    for region in (server.directory.cascading(), *server.directory.cascaded()):
        watch(server.directory.client(region.name))
    return asked


def listed(server: Server) -> list[str]:
    """Every image of every region, hidden ones as well."""
    names = [server.directory.cascading().name, *(each.name for each in server.directory.cascaded())]
    return [image.id for name in names
            for image in list_all(server.directory.client(name), server.settings.reconcile.list_page_size)]


def compared(server: Server, turns: Turns | None) -> int:
    """One pass; how many images it saw in all regions, each one's canary too."""
    report = PassReport()
    tasks = server.service.reconcile(report, turns=turns)
    if tasks or not report.complete:
        raise RuntimeError(f"the comparison found something to do: {tasks[:3]} {report}")
    return report.images + 1 + sum(region.images + 1 for region in report.regions.values())


def _clocked(work: Callable[[], int], expected: int, asked: Counter[str]) -> Sample:
    before, started, cpu = asked.total(), time.perf_counter(), time.process_time()
    seen = work()
    sample = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu,
              "members": asked.total() - before}
    if seen != expected:
        raise RuntimeError(f"{seen} images were seen instead of {expected}")
    return sample


if __name__ == "__main__":
    main()
