# SPDX-License-Identifier: Apache-2.0
"""`openstack image sync status` and `wait`: how images stand in each region."""
from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from osc_lib import exceptions as osc_errors
from osc_lib.command import command

from glancesync import exceptions as errors
from glancesync.cli import text
from glancesync.cli.base import RAW_FORMATS, Json, Speaks, positive, sentence, shown
from glancesync.clock import Clock, SystemClock
from glancesync.model.text import inert

_LONG = ("Image ID", "Name", "Region", "State", "Progress", "Lag", "Reason code", "Reason")
_ONE = ("Region", "State", "Progress", "Lag", "Reason code", "Reason", "Replica ID", "Digest", "Verified at")
#: Each image comes with all of its regions: of a thousand the answer would be longer than the client takes.
_PAGE_IMAGES = 200
_POLL_SECONDS = 1.0


class Status(Speaks, command.Lister):
    """Show how images stand in each region.

    Without an image: a matrix of images and regions (with --long a row for each pair). With one: a row for each region.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("image", metavar="<image>", nargs="?", help="Image (name or id; a replica's id does, too)")
        parser.add_argument("--long", action="store_true", help="A row for each image and region, with the reason")
        parser.add_argument("--region", metavar="<region>", help="Only images that have a record in this region, and "
                            "only this region of them")
        parser.add_argument("--state", metavar="<state>", help="Only images that are in this state in a region: "
                            "in_sync, waiting, copying, failed, conflict, ...")
        parser.add_argument("--deleted", action="store_true", help="Also images that are deleted in every region")
        parser.add_argument("--reason-code", metavar="<code>", help="Only images with this reason code in a region")
        parser.add_argument("--project", metavar="<project-id>", help="Only images of this project (admin)")
        parser.add_argument("--sort", metavar="<key>[:<direction>]", type=_sort, default={},
                            help="Sort by id, name, owner, status, size or updated_at, asc or desc, before "
                            "--limit")
        parser.add_argument("--limit", metavar="<n>", type=positive, help="At most so many images")
        parser.add_argument("--marker", metavar="<image-id>", help="Begin after this image")
        return parser

    def take_action(self, given: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        if given.image is not None:
            image = _get(self, given.image)
            return _ONE, [_region_row(given, each) for each in image["regions"] if given.region in (None,
                                                                                                   each["region"])]
        query = {"region": given.region, "state": given.state, "reason_code": given.reason_code,
                 "owner": given.project, "marker": given.marker, **given.sort}
        if not given.deleted and given.state != "deleted":
            query["deleted"] = "false"
        images = self.rows("/v1/images", "images", query, given.limit, _PAGE_IMAGES)
        if given.long:
            return _LONG, (row for image in images for row in _long_rows(given, image))
        return _matrix(given, list(images))


class Wait(Speaks, command.Command):
    """Wait until an image is in sync in every region.

    Exit status: 0 it is, 1 it is not within the time or never will be without somebody's doing.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("image", metavar="<image>", help="Image (name or id)")
        parser.add_argument("--region", metavar="<region>", action="append",
                            help="Only in this region (may be repeated)")
        parser.add_argument("--timeout", metavar="<seconds>", type=float, default=None,
                            help="Give up after so many seconds (default: never)")
        return parser

    def take_action(self, given: argparse.Namespace) -> None:
        image_id = self.image_id(given.image)
        wait_until(lambda: self._unsettled(image_id, given.region), timeout_seconds=given.timeout, clock=SystemClock())
        print(f"{image_id} is in sync in {', '.join(given.region) if given.region else 'every region'}",
              file=self.app.stdout)


    def _unsettled(self, image_id: str, regions: Sequence[str] | None) -> list[str]:
        try:
            image = self.sync.get_image(image_id)["image"]
        except errors.ImageNotFoundError:
            # The report of a new image may still be on its way.
            if self.app.client_manager.image.find_image(image_id, ignore_missing=True) is None:
                raise osc_errors.CommandError(
                    f"Neither Glance nor the sync server knows an image {image_id}.") from None
            return ["not yet known to the sync server"]
        except errors.GlanceSyncError as error:
            raise osc_errors.CommandError(sentence(error)) from error
        return unsettled(image, regions)


def unsettled(image: Json, regions: Sequence[str] | None) -> list[str]:
    """What is not in sync yet, in words. Raises CommandError for what waiting does not mend, or a region unknown."""
    found = {each["region"]: each for each in image["regions"]}
    missing = [name for name in regions or () if name not in found]
    if missing:
        raise osc_errors.CommandError(f"{image['id']} has no record in {', '.join(missing)}; it has in "
                                      f"{', '.join(sorted(found)) or 'none'}.")
    chosen = [found[name] for name in regions or sorted(found)]
    stuck = [each for each in chosen if each["state"] in ("conflict", "contested", "parked", "deleted")
             or (each["state"] == "failed" and each["next_try_at"] is None)]
    if stuck:
        raise osc_errors.CommandError(f"{image['id']} does not come in sync by itself: " + "; ".join(map(_told, stuck)))
    return [_told(each) for each in chosen if each["state"] not in ("in_sync", "unwanted", "cannot_travel")]


def wait_until(look: Callable[[], list[str]], *, timeout_seconds: float | None, clock: Clock) -> None:
    """Until `look` finds nothing more. Raises CommandError with what it found last when the time is over."""
    end = None if timeout_seconds is None else clock.monotonic() + timeout_seconds
    while left := look():
        if end is not None and clock.monotonic() >= end:
            raise osc_errors.CommandError(f"Not in sync after {timeout_seconds:g} s: {'; '.join(left)}")
        clock.sleep(_POLL_SECONDS)


def _get(command_: Speaks, given: str) -> Json:
    image: Json = command_.asked(command_.sync.get_image, command_.image_id(given))["image"]
    return image


def _matrix(given: argparse.Namespace, images: Sequence[Json]) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    found = [{each["region"]: each for each in image["regions"]} for image in images]
    names = sorted({name for regions in found for name in regions if given.region in (None, name)})
    rows = ((image["id"], shown(given, image["name"]), *(_cell(given, regions.get(name)) for name in names))
            for image, regions in zip(images, found, strict=True))
    return ("Image ID", "Name", *names), rows


def _cell(given: argparse.Namespace, replica: Json | None) -> Any:
    """Words for a person, the whole record for a program."""
    if given.formatter in RAW_FORMATS:
        return replica
    return text.standing(replica) if replica else "-"


def _long_rows(given: argparse.Namespace, image: Json) -> Iterable[Sequence[Any]]:
    for each in image["regions"]:
        if given.region in (None, each["region"]):
            yield image["id"], shown(given, image["name"]), each["region"], *_standing(given, each)


def _region_row(given: argparse.Namespace, each: Json) -> Sequence[Any]:
    digest = f"{each['digest']['algorithm']}:{each['digest']['value']}" if each["digest"] else None
    if digest and given.formatter == "table":
        digest = f"{digest[:23]}..."
    return each["region"], *_standing(given, each), each["replica_id"], digest, each["verified_at"]


def _standing(given: argparse.Namespace, each: Json) -> Sequence[Any]:
    return (each["state"], text.progress(each["bytes_done"], each["bytes_total"]),
            text.duration(each["lag_seconds"]), each["reason_code"], shown(given, each["reason"]))


def _told(each: Json) -> str:
    reason = inert(each["reason"]) if each["reason"] else "no reason told"
    return f"{each['region']} {text.standing(each)}: {reason}"


def _sort(given: str) -> Json:
    key, _, direction = given.partition(":")
    return {"sort_key": key, "sort_dir": direction or "asc"}
