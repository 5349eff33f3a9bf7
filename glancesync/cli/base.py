# SPDX-License-Identifier: Apache-2.0
"""What the commands share: the client, pages, errors with a next step, texts that fit the output format."""
from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from osc_lib import exceptions as osc_errors

from glancesync import exceptions as errors
from glancesync.client import SyncClient
from glancesync.model.text import inert

Json = dict[str, Any]
Result = TypeVar("Result")

PAGE = 1000
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
RAW_FORMATS = ("json", "yaml")
_NEXT_STEPS: Sequence[tuple[type[errors.GlanceSyncError], str]] = (
    (errors.ForbiddenError, "Ask with the credentials of an administrator (--os-cloud, OS_USERNAME), or have "
                            "policy.yaml of the sync server allow it."),
    (errors.RegionUnauthorizedError, "Look whether the token is of the Keystone that the sync server asks."),
    (errors.RegionUnavailableError, "Look whether the sync server runs, and whether the catalog names its address: "
                                    "openstack endpoint list --service image-sync"),
    (errors.ImageNotFoundError, "openstack image sync status lists what is known."),
    (errors.TaskNotFoundError, "openstack image sync task list lists what is known."),
    (errors.RegionNotFoundError, "openstack image sync region list lists the regions."),
)
_REGION_STEP = "openstack image sync region list tells how the regions are; --region names those that are to be asked."


class Speaks:
    """Mixed into the commands: what speaks to the sync server."""

    app: Any

    @property
    def sync(self) -> SyncClient:
        client: SyncClient = self.app.client_manager.image_sync
        return client

    def asked(self, call: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """The call's answer; a refusal becomes a CommandError that says what to do next."""
        try:
            return call(*args, **kwargs)
        except errors.GlanceSyncError as error:
            raise osc_errors.CommandError(sentence(error)) from error

    def rows(self, path: str, name: str, query: Json | None = None, limit: int | None = None,
             page_rows: int = PAGE) -> Iterator[Json]:
        """The rows of a listing, page after page, at most `limit`."""
        asked, left = dict(query or {}), limit
        while left is None or left > 0:
            asked["limit"] = page_rows if left is None else min(left, page_rows)
            page = self.asked(self.sync.get, path, asked)
            yield from page[name]
            if "next" not in page or not page[name]:
                return
            asked["marker"] = page[name][-1]["id"]
            left = None if left is None else left - len(page[name])

    def plan(self, body: Json, left_out: dict[str, str]) -> Iterator[Json]:
        """The rows of a dry run, page after page; `left_out` is filled with the regions that could not be compared, and
        why."""
        query = "" if "image_ids" in body else f"limit={PAGE}"
        while True:
            page = self.asked(self.sync.sync, {**body, "dry_run": True}, query)
            left_out.update((each["region"], each["reason"]) for each in page.get("left_out", ()))
            yield from page["plan"]
            if "next" not in page:
                return
            query = urlsplit(page["next"]).query

    def image_id(self, given: str) -> str:
        """An image's id from its id or its name in Glance. Raises CommandError for none or several."""
        if _UUID.fullmatch(given):
            return given.lower()
        glance = self.app.client_manager.image
        found = {image.id for hidden in (False, True) for image in glance.images(name=given, is_hidden=hidden)}
        if len(found) == 1:
            return str(found.pop())
        name = inert(given)
        if found:
            raise osc_errors.CommandError(f"Several images are named {name}: {', '.join(sorted(found))}. Name one by "
                                          "its id.")
        raise osc_errors.CommandError(f"Glance shows no image {name} here. Name it by its id if it was deleted, or "
                                      "the region of the original with --os-region-name.")


def positive(given: str) -> int:
    """For argparse: a number of 1 or more."""
    number = int(given)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def shown(given: argparse.Namespace, value: str | None) -> str | None:
    """A user's text in the output format: json and yaml escape by themselves, a terminal must not be steered."""
    if value is None or given.formatter in RAW_FORMATS:
        return value
    return inert(value)


def sentence(error: errors.GlanceSyncError) -> str:
    """The error, the request that it answers, and what to do next."""
    request = f" (request {error.request_id})" if error.request_id else ""
    # What has a request's id was said by the sync server itself, of a region.
    of_a_region = error.request_id is not None and isinstance(error, errors.RegionUnavailableError)
    step = _REGION_STEP if of_a_region else next((step for kind, step in _NEXT_STEPS if isinstance(error, kind)), "")
    return f"{error}{request} {step}".rstrip()
