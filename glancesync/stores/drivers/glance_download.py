# SPDX-License-Identifier: Apache-2.0
"""The target's Glance fetches the bytes itself, by its import method glance-download: for sites whose sync server is to
carry none. An entry point of `glancesync.stores`.

    this server: POST /v2/images/ID/import ──► target's Glance: GET the image of the source's Glance, with our token
                                               ──► its staging folder ──► its store, hashed on the way: active
    this server: asks how it stands; size and hash are compared afterwards, out of everybody's reach as ever

Glance has no request that ends an import. To delete the image in the middle uses up its id, and one in eight left its
staged file behind for ever, as measured; so an import whose run ends is left to come to its end where nobody can reach
the image, and the next run takes it from there.
"""
from __future__ import annotations

import logging
import re

from glancesync.exceptions import (
    RegionAnswerError,
    RegionConflictError,
    RegionForbiddenError,
    RegionQuotaError,
    RegionRejectedError,
    StoreCopyError,
    StoreImportError,
    StoreImportRefusedError,
    StoreTimeoutError,
)
from glancesync.model.imports import ImportTask
from glancesync.model.store import Scheme
from glancesync.stores.driver import Capabilities, Carrier, CopyDriver, Progress, StoreCopy, TargetGlance
from glancesync.stores.loading import DriverOptions

LOG = logging.getLogger(__name__)
_METHOD = "glance-download"
_REFUSALS = (RegionAnswerError, RegionConflictError, RegionForbiddenError, RegionQuotaError, RegionRejectedError)
_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
_POLL_SECONDS = 0.2
_POLL_MOST_SECONDS = 3.0
#: What Glance writes into its task, once a minute, while it moves what it staged into its store.
_COPIED = re.compile(r"Copied (\d{1,12}) MiB\Z")


class GlanceDownloadDriver(CopyDriver):
    """Holds no connection: it asks through the client of the target's Glance."""

    name = _METHOD
    capabilities = Capabilities(import_methods=frozenset({_METHOD}), carrier=Carrier.TARGET)

    def __init__(self, options: DriverOptions) -> None:
        self._clock = options.clock
        self._timeout = options.copy_timeout_seconds
        self._interface = options.import_interface

    def find_obstacle(self, source: Scheme | None, target: Scheme | None) -> str | None:
        return None

    def copy(self, copy: StoreCopy, progress: Progress) -> str | None:
        glance = _glance(copy)
        progress.report(step="importing", bytes_done=0, bytes_total=copy.size)
        progress.check()
        try:
            glance.import_from_region(copy.replica_id, copy.source_region, copy.image_id, interface=self._interface())
        except _REFUSALS as error:
            raise StoreImportRefusedError(f"{glance.region_name} does not import from {copy.source_region}: {error}",
                                          region=glance.region_name, request_id=error.request_id) from error
        self._wait(glance, copy, progress)
        progress.report(step="verifying", bytes_done=copy.size)
        return None

    def discard(self, copy: StoreCopy) -> None:
        """There is nothing beside the image itself."""

    def check(self, scheme: Scheme) -> list[str]:
        raise StoreCopyError(f"{self.name} uses no store of kind {scheme.name}")

    def close(self) -> None:
        """Nothing is open."""

    def _wait(self, glance: TargetGlance, copy: StoreCopy, progress: Progress) -> None:
        """Until the image is active and its Glance has let go of it."""
        end, pause, reached = self._clock.monotonic() + self._timeout(), _POLL_SECONDS, 0
        while True:
            image = glance.get_image(copy.replica_id, with_members=False)
            if image.has_bytes and not image.locked:
                return
            task = _last(glance, copy)
            # A Glance that could not clean up after a failure lets its lock lie; it takes it away at the next import.
            if image.status == "queued" and (not image.locked or (task is not None and not task.is_live)):
                raise self._failed(glance, copy)
            reached = max(reached, min(copy.size, _copied(task)))
            progress.report(bytes_done=reached)
            progress.check()
            if self._clock.monotonic() > end:
                raise StoreTimeoutError(f"the Glance of {glance.region_name} imports image {copy.image_id} for longer "
                                        f"than {self._timeout():g} s; it is left to end that by itself")
            self._clock.sleep(pause)
            pause = min(pause * 1.5, _POLL_MOST_SECONDS)

    def _failed(self, glance: TargetGlance, copy: StoreCopy) -> StoreImportError:
        task = _last(glance, copy)
        told = f": {task.message}" if task is not None and task.message else ""
        return StoreImportError(f"the Glance of {glance.region_name} could not import image {copy.image_id} from "
                                f"{copy.source_region}{told[:200]}; its log tells why", region=glance.region_name)


def _glance(copy: StoreCopy) -> TargetGlance:
    if copy.glance is None or not copy.source_region:
        raise StoreCopyError("nobody told which Glance is to fetch from which region")
    if not _ID.match(copy.image_id) or not _ID.match(copy.replica_id):
        raise StoreImportRefusedError("a Glance imports images whose ids are UUIDs")
    return copy.glance


def _last(glance: TargetGlance, copy: StoreCopy) -> ImportTask | None:
    """The newest task; a Glance that tells none, or not now, only shows less."""
    try:
        tasks = glance.list_import_tasks(copy.replica_id)
    except (RegionAnswerError, RegionForbiddenError) as error:
        LOG.debug("%s does not tell of its import tasks: %s", glance.region_name, error)
        return None
    return tasks[-1] if tasks else None


def _copied(task: ImportTask | None) -> int:
    """Bytes that are in the store already, as far as its Glance tells."""
    found = _COPIED.match(task.message or "") if task is not None else None
    return int(found[1]) * 2 ** 20 if found else 0
