# SPDX-License-Identifier: Apache-2.0
"""The contract of a region's client. Implementations: glance (a real one) and memory (its twin for tests).

tests/contract/test_region_client.py states it and runs on every implementation.
"""
from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from glancesync.model.filed import Filed
from glancesync.model.image import Digest, Image, ImageChanges, Member, NewImage
from glancesync.regions.facts import FactsClient
from glancesync.regions.imports import ImportClient


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """An open download. `size` in bytes is what the server announced, None where it did not.

    `chunks` yields non-empty bytes objects and raises SourceReadError when the stream ends early or stalls.
    """

    size: int | None
    chunks: Iterator[bytes]


class RegionClient(ImportClient, FactsClient):
    """One Glance, seen by the service user (an admin).

    Every method raises RegionUnavailableError (no connection, timeout, 5xx), RegionBusyError (429, or 503 with
    Retry-After), RegionUnauthorizedError, RegionForbiddenError, RegionAnswerError and the other RegionErrors as the
    answers deserve. Only an answer that says so in Glance's own words makes an ImageNotFoundError: a 404 that Glance's
    image controller gave, never one of a proxy, a wrong path or an empty page.
    """

    region_name: str

    @abc.abstractmethod
    def get_image(self, image_id: str, *, with_members: bool = True) -> Image:
        """The image; members are read when it is shared and `with_members`. Raises ImageNotFoundError."""

    def find_image(self, image_id: str, *, with_members: bool = True) -> Image | None:
        """As get_image, None when it is not there."""
        from glancesync.exceptions import ImageNotFoundError

        try:
            return self.get_image(image_id, with_members=with_members)
        except ImageNotFoundError:
            return None

    @abc.abstractmethod
    def list_images(self, *, hidden: bool, page_size: int = 200) -> Iterator[Image]:
        """All images of every owner and visibility that are (or are not) hidden, sorted by ascending id, lazily, page
        by page, `members` None. A page that fails raises; the iterator never ends early."""

    @abc.abstractmethod
    def list_namesakes(self, name: str, owner: str | None) -> Iterator[Image]:
        """Images that are not hidden with exactly this name and owner, in no promised order, lazily; `members` None."""

    @abc.abstractmethod
    def create_image(self, new: NewImage) -> Image:
        """One POST. Raises IdBurnedError when the id answers 409 but shows no image, RegionConflictError when an image
        with it is there. A 5xx may have created the image: the caller reads and repairs."""

    @abc.abstractmethod
    def update_image(self, image_id: str, changes: ImageChanges) -> Image:
        """One PATCH. `set_properties` may add or replace. Raises ImageNotFoundError."""

    @abc.abstractmethod
    def delete_image(self, image_id: str) -> None:
        """Raises ImageNotFoundError, RegionForbiddenError when it is protected, RegionConflictError when in use."""

    @abc.abstractmethod
    def deactivate_image(self, image_id: str) -> None:
        """Status active becomes deactivated; nothing happens when it is already."""

    @abc.abstractmethod
    def reactivate_image(self, image_id: str) -> None:
        """Status deactivated becomes active; nothing happens when it is already."""

    @abc.abstractmethod
    def list_members(self, image_id: str) -> tuple[Member, ...]:
        """Sorted members of a shared image. Raises ImageNotFoundError; RegionForbiddenError when it is not shared."""

    @abc.abstractmethod
    def add_member(self, image_id: str, member_id: str) -> None:
        """Adds it as pending; nothing happens when it is there."""

    @abc.abstractmethod
    def set_member_status(self, image_id: str, member_id: str, status: str) -> None:
        """pending, accepted or rejected. Raises MemberNotFoundError."""

    @abc.abstractmethod
    def remove_member(self, image_id: str, member_id: str) -> None:
        """Nothing happens when it is not there."""

    @abc.abstractmethod
    def list_locations(self, image_id: str) -> tuple[str, ...]:
        """URLs of the image's bytes in its stores. Raises ImageNotFoundError; RegionForbiddenError where the policy
        does not show them, RegionAnswerError where the Glance is too old to."""

    @abc.abstractmethod
    def add_location(self, image_id: str, url: str, digest: Digest | None, *, filed: Filed | None = None) -> None:
        """One POST: let the queued image's bytes be those at the URL. Its Glance reads and checks them after this
        returned; meanwhile the image is `locked`, afterwards active, or queued again. `filed`: its store filter is told
        so much; where it has none that is an ImageNotFoundError. Without a digest it is active as soon as there is
        something at the URL, and hashed afterwards, if at all. Raises RegionRejectedError, RegionForbiddenError or
        RegionAnswerError where it takes no such location, RegionConflictError for an image that is not queued."""

    @abc.abstractmethod
    def open_data(self, image_id: str, *, chunk_bytes: int = 65536) -> AbstractContextManager[ImageData]:
        """One GET of the bytes; leaving the context closes the connection. Raises ImageNotFoundError when the image has
        none (204) or is gone. An active image of zero bytes gives size 0 and no chunk."""

    @abc.abstractmethod
    def upload_data(self, image_id: str, chunks: Iterable[bytes], *, size: int | None) -> None:
        """One chunked PUT with the announced size in bytes (None: not known), of an image that is queued.

        The request is sent exactly once: no retry, no redirect, no second try with a new token (`chunks` cannot be
        read twice, and a repeated request would make a wrong image active). An exception out of `chunks` aborts the
        request before its end, which leaves the image queued; it is raised again as it is. Raises RegionConflictError
        when the image takes no data, RegionQuotaError, TransferError when the connection breaks."""
