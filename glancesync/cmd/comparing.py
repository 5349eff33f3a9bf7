# SPDX-License-Identifier: Apache-2.0
"""`glance-sync-manage reconcile`: a comparison of everything from the server's host, or what it would do."""
from __future__ import annotations

import argparse
import shlex

from glancesync.cmd.build import Server
from glancesync.conf.image_rules import ALLOWED, ImageRules, parse_rules
from glancesync.model.text import inert
from glancesync.service import Service
from glancesync.sync.codes import Code
from glancesync.sync.findings import PassReport, RegionReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only print what a run would do; exit status 1 when "
                        "there is something to do")
    parser.add_argument("--region", action="append", help="only this cascaded region (may be repeated)")
    parser.add_argument("--filter", action="append", type=_condition, default=[], metavar="CONDITION",
                        help="only images that meet this, such as visibility=public, 'name=gold*' or 'size<=1GiB' (all "
                        "of them when it is repeated)")


def reconcile(server: Server, given: argparse.Namespace) -> int:
    """1 when a region could not be compared to its end, with --dry-run also when there is something to do."""
    only = parse_rules(" ".join(given.filter)) if given.filter else None
    report = PassReport()
    if given.dry_run:
        differ = _print_plans(server.service, given.region, only, report)
        return _print_left_out(report) or differ
    server.service.check_regions(given.region)
    server.service.reconcile(report, regions=given.region, only=only)
    for name, seen in sorted(report.regions.items()):
        _print_region(name, seen, whole=only is None)
    print(f"{report.tasks} tasks are queued for the server")
    return 1 if any(seen.error for seen in report.regions.values()) else 0


def _print_region(name: str, seen: RegionReport, *, whole: bool) -> None:
    """A comparison that is not of the whole says nothing of what has no image."""
    rest = f", {seen.surplus} without an image, {seen.foreign} not ours" if whole else ""
    print(f"{inert(name)}: {seen.images} images, {seen.findings} to be looked at{rest}"
          + (f"; broke off: {inert(str(seen.error))}" if seen.error else ""))
    for image_id in seen.foreign_ids:
        print(f"  not ours: {image_id}")
    if seen.foreign > len(seen.foreign_ids):
        print(f"  and {seen.foreign - len(seen.foreign_ids)} more, which --dry-run lists")


def _print_plans(service: Service, regions: list[str] | None, only: ImageRules | None, report: PassReport) -> int:
    """As it goes: there may be millions."""
    shown = foreign = 0
    for plan in service.plan_all(regions=regions, only=only, report=report):
        shown, foreign = shown + 1, foreign + (plan["reason_code"] == Code.FOREIGN)
        actions = ", ".join(action["action"] for action in plan["actions"]) or "nothing to do"
        reason = inert(plan["reason"])
        print(f"{plan['image_id']}  {inert(plan['region'])}  {plan['reason_code']}: {actions} ({reason})")
    print(f"{shown - foreign} pairs of image and region stand out, {foreign} images are not ours")
    return 1 if shown > foreign else 0


def _print_left_out(report: PassReport) -> int:
    """1 where a region was not compared to its end."""
    left_out = {name: seen.error for name, seen in sorted(report.regions.items()) if seen.error}
    for name, reason in left_out.items():
        print(f"{inert(name)} was not compared to its end and may differ: {inert(reason)}")
    return int(bool(left_out))


def _condition(text: str) -> str:
    """One condition, quoted as rules are written."""
    quoted = shlex.quote(text)
    try:
        parse_rules(quoted)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; allowed are {ALLOWED}") from error
    return quoted
