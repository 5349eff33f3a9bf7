# SPDX-License-Identifier: Apache-2.0
"""An image is usable at once: the target's Glance is told where a web server gives out the source's file, and serves it
from there. An entry point of `glancesync.stores`.

    this server: POST /v2/images/ID/locations (http://NETLOC/PATH/NAME) ──► active, handed over, bytes NOT verified
    then (sync.homecoming): copy-image into the target's own store ──► compared ──► the http location is removed

Nothing is moved here, and nothing verified: whoever names this driver in an order says that he accepts that.
"""
from __future__ import annotations

import re
from urllib.parse import quote

import requests

from glancesync.exceptions import StoreCopyError, StoreSourceMissingError, StoreUnreachableError
from glancesync.model.store import HttpScheme, Scheme
from glancesync.stores.driver import Capabilities, Carrier, CopyDriver, Progress, StoreCopy
from glancesync.stores.loading import DriverOptions

#: Stands for the image's id in `image_name`.
PLACE = "{id}"
_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
_TIMEOUT_SECONDS = 10.0


class HttpDriver(CopyDriver):
    """Asks the web server for nothing: the target's Glance does."""

    name = "http"
    capabilities = Capabilities(source_scheme="http", registers="http", target_stores=frozenset({"http"}),
                                import_methods=frozenset({"copy-image"}), carrier=Carrier.TARGET,
                                usable_unverified=True)

    def __init__(self, options: DriverOptions) -> None:
        self._clock = options.clock

    def find_obstacle(self, source: Scheme | None, target: Scheme | None) -> str | None:
        if not isinstance(source, HttpScheme):
            return "the source names no web server"
        if source.image_name is not None and PLACE not in source.image_name:
            return f"image_name names one file for all images; {PLACE} in it stands for the image's id"
        return None

    def copy(self, copy: StoreCopy, progress: Progress) -> str | None:
        if not isinstance(copy.source, HttpScheme):
            raise StoreCopyError("the source names no web server")
        if not _ID.match(copy.image_id) or not _ID.match(copy.replica_id):
            raise StoreSourceMissingError("an image whose id is no UUID has no file")
        progress.report(step="registering", bytes_done=0, bytes_total=copy.size)
        progress.check()
        return url_of(copy.source, copy.image_id)

    def discard(self, copy: StoreCopy) -> None:
        """Nothing was put anywhere."""

    def check(self, scheme: Scheme) -> list[str]:
        if not isinstance(scheme, HttpScheme):
            raise StoreCopyError(f"a store of kind {scheme.name} cannot be tried")
        url, started = f"http://{scheme.netloc}{quote(scheme.path)}", self._clock.monotonic()
        try:
            answer = requests.head(url, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            raise StoreUnreachableError(f"{url} does not answer: {type(error).__name__}") from None
        return [f"answers {answer.status_code} in {self._clock.monotonic() - started:.2f} s"]

    def close(self) -> None:
        """Nothing is open."""


def url_of(scheme: HttpScheme, image_id: str) -> str:
    """Where the image's file is given out."""
    name = (scheme.image_name or PLACE).replace(PLACE, image_id)
    return f"http://{scheme.netloc}{quote(scheme.path.rstrip('/'))}/{quote(name)}"
