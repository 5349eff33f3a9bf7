# SPDX-License-Identifier: Apache-2.0
"""The image in the cascading region as a pair's decision needs it. Called by converge."""
from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from glancesync.exceptions import ImageNotFoundError, RegionAnswerError, RegionForbiddenError, RegionRejectedError
from glancesync.model.image import Image
from glancesync.model.location import Located, external
from glancesync.regions.client import RegionClient
from glancesync.sync.context import SyncContext
from glancesync.sync.records import PairRecord
from glancesync.sync.references import References

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Source:
    """`image` is as its replica in the region is to be, None where Glance says that it is not there; `awaits` which
    other image it has to wait for; `located` where its bytes lie, if somebody said that they lie elsewhere."""

    image: Image | None
    awaits: str | None = None
    located: Located | None = None


class SourceReader:
    """Asks the cascading Glance."""

    def __init__(self, context: SyncContext) -> None:
        self._context = context
        self._references = References(context.records)

    def read(self, image: Image | None, region: str, known: PairRecord) -> Source:
        """`image` as it was just seen, None where it is not there. Raises what the client raises, but
        ImageNotFoundError."""
        if image is None:
            return Source(image=None, located=known.located)
        client = self._context.source_client()
        referred = self._references.resolve(
            image, region, known.birth, exists=lambda other: client.find_image(other, with_members=False) is not None)
        return Source(image=referred.image, awaits=referred.awaits, located=_find_urls(client, image, known.located))


def _find_urls(client: RegionClient, image: Image, found: Located | None) -> Located | None:
    """With the URLs that Glance shows. Whoever hinted at one only said that there are some."""
    if found is None or not image.has_bytes:
        return found
    try:
        return replace(found, urls=external(client.list_locations(image.id)))
    except (ImageNotFoundError, RegionForbiddenError, RegionAnswerError, RegionRejectedError) as error:
        LOG.info("the cascading Glance does not tell where image %s lies (%s); its bytes are copied", image.id,
                 error.code)
        return found
