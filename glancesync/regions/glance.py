# SPDX-License-Identifier: Apache-2.0
"""The client of a real Glance (Images API v2). Made by `factory`; everything else sees a RegionClient."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from glanceclient.v2.image_members import Controller as MembersController
from glanceclient.v2.images import Controller as ImagesController
from keystoneauth1.session import Session

from glancesync.exceptions import (
    IdBurnedError,
    ImageNotFoundError,
    MemberNotFoundError,
    RegionConflictError,
    RegionForbiddenError,
    RegionRejectedError,
)
from glancesync.model.filed import Filed
from glancesync.model.image import Digest, Image, ImageChanges, Member, NewImage
from glancesync.regions import glance_data, glance_json
from glancesync.regions.client import ImageData, RegionClient
from glancesync.regions.facts import GlanceFactsReader
from glancesync.regions.glance_errors import REQUEST_ID_HEADER, bad_answer
from glancesync.regions.glance_http import AnswerTooLargeError, GlanceHTTP, Timeouts, path_of
from glancesync.regions.imports import GlanceImports

Parsed = TypeVar("Parsed")
PATCH_TYPE = "application/openstack-images-v2.1-json-patch"
_IMAGES = "/v2/images"
#: Glance deletes in two transactions. When it dies between them the bytes are gone, the record stays and is shown, and
#: no request can remove it: not there, and its id is used up.
_GONE = frozenset({"deleted", "pending_delete"})
_NAMESAKES_PAGE = 100


class GlanceRegion(GlanceImports, GlanceFactsReader, RegionClient):
    """One Glance at `endpoint` (a URL without a version). Opens no connection before the first call."""

    def __init__(self, *, region_name: str, endpoint: str, session: Session,  # noqa: PLR0913 - by name
                 connect_timeout_seconds: float, read_timeout_seconds: float, idle_timeout_seconds: float,
                 call_timeout_seconds: float = 300) -> None:
        self.region_name = region_name
        self._http = GlanceHTTP(session, region_name=region_name, endpoint=endpoint, timeouts=Timeouts(
            connect=connect_timeout_seconds, read=read_timeout_seconds, idle=idle_timeout_seconds,
            whole=call_timeout_seconds))
        self._images = ImagesController(self._http, None)
        self._members = MembersController(self._http, None)

    def get_image(self, image_id: str, *, with_members: bool = True) -> Image:
        image = self._ask_image("GET", path_of(image_id), image_id)
        if image.status in _GONE:
            raise ImageNotFoundError(f"image {image_id} in {self.region_name} is {image.status}; its Glance died while "
                                     "it removed the record and cannot finish that")
        if not with_members or image.visibility != "shared":
            return image
        try:
            members = self.list_members(image_id)
        except RegionForbiddenError:
            again = self._ask_image("GET", path_of(image_id), image_id)
            if again.visibility == "shared":
                raise
            return again  # its visibility changed between the two requests
        return replace(image, members=members)

    def list_images(self, *, hidden: bool, page_size: int = 200) -> Iterator[Image]:
        return self._list({"os_hidden": str(hidden).lower()}, page_size)

    def list_namesakes(self, name: str, owner: str | None) -> Iterator[Image]:
        wanted = {"os_hidden": "false", **glance_json.name_filter(name)} | ({"owner": owner} if owner else {})
        return (image for image in self._list(wanted, _NAMESAKES_PAGE) if (image.name, image.owner) == (name, owner))

    def _list(self, filters: Mapping[str, str], page_size: int) -> Iterator[Image]:
        marker: str | None = None
        while True:
            images, size, has_next = self._page(filters, page_size=page_size, marker=marker)
            for image in images:
                self._check_order(marker, image.id)
                marker = image.id
                if image.status not in _GONE:
                    yield image
            if not has_next and len(images) < size:
                return

    def create_image(self, new: NewImage) -> Image:
        try:
            return self._ask_image("POST", _IMAGES, new.id, json=glance_json.create_body(new))
        except RegionConflictError as conflict:
            if self.find_image(new.id, with_members=False) is not None:
                raise
            raise IdBurnedError(f"{self.region_name} refuses id {new.id} though no image has it: one that had it was "
                                "deleted there", request_id=conflict.request_id) from conflict

    def update_image(self, image_id: str, changes: ImageChanges) -> Image:
        try:
            patch = glance_json.patch_body(changes)
        except ValueError as error:
            raise RegionRejectedError(f"image {image_id} in {self.region_name} cannot be updated: {error}") from error
        image = self._ask_image("PATCH", path_of(image_id), image_id, headers={"Content-Type": PATCH_TYPE}, json=patch)
        if not changes.set_properties.items() <= image.properties.items():
            raise RegionRejectedError(f"{self.region_name} answered an update of image {image_id} with success, but "
                                      "shows other values of its custom properties")
        return image

    def delete_image(self, image_id: str) -> None:
        self._images.delete(image_id)

    def deactivate_image(self, image_id: str) -> None:
        self._images.deactivate(image_id)

    def reactivate_image(self, image_id: str) -> None:
        self._images.reactivate(image_id)

    def list_members(self, image_id: str) -> tuple[Member, ...]:
        return self._ask("GET", path_of(image_id, "members"), glance_json.parse_members)

    def add_member(self, image_id: str, member_id: str) -> None:
        try:
            self._http.request(path_of(image_id, "members"), "POST", json={"member": member_id})
        except RegionConflictError:
            if member_id not in {member.member_id for member in self.list_members(image_id)}:
                raise

    def set_member_status(self, image_id: str, member_id: str, status: str) -> None:
        self._http.request(path_of(image_id, "members", member_id), "PUT", json={"status": status})

    def remove_member(self, image_id: str, member_id: str) -> None:
        try:
            self._members.delete(image_id, member_id)
        except MemberNotFoundError:
            return

    def list_locations(self, image_id: str) -> tuple[str, ...]:
        return self._ask("GET", path_of(image_id, "locations"), glance_json.parse_locations)

    def add_location(self, image_id: str, url: str, digest: Digest | None, *, filed: Filed | None = None) -> None:
        path = path_of(image_id, "locations")
        check = {} if digest is None else {"validation_data": {
            "os_hash_algo": digest.algorithm, "os_hash_value": digest.value}}
        if filed is None:
            self._http.request(path, "POST", json={"url": url, **check})
        else:
            self._http.request(path.replace("/v2/", "/v2/glance-sync/", 1), "POST", json={"url": url, **check},
                               headers=filed.headers)

    @contextmanager
    def open_data(self, image_id: str, *, chunk_bytes: int = 65536) -> Iterator[ImageData]:
        response = glance_data.start_download(self._http, image_id)
        try:
            if response.status_code == 204:
                yield self._no_bytes(image_id, response.headers.get(REQUEST_ID_HEADER))
            else:
                yield glance_data.read_download(self._http, image_id, response, chunk_bytes)
        finally:
            response.close()

    def upload_data(self, image_id: str, chunks: Iterable[bytes], *, size: int | None) -> None:
        glance_data.upload(self._http, image_id, chunks, size)

    def _no_bytes(self, image_id: str, request_id: str | None) -> ImageData:
        image = self.get_image(image_id, with_members=False)
        if image.has_bytes and image.size == 0:
            return ImageData(size=0, chunks=iter(()))
        raise ImageNotFoundError(f"image {image_id} in {self.region_name} has no bytes (its status is {image.status})",
                                 request_id=request_id, region=self.region_name)

    def _page(self, filters: Mapping[str, str], *, page_size: int,
              marker: str | None) -> tuple[list[Image], int, bool]:
        """Images, how many were asked for, and whether Glance says that more follow. Asks for fewer when they are too
        large."""
        query = {"limit": page_size, "visibility": "all", "member_status": "all", **filters,
                 "sort_key": "id", "sort_dir": "asc"} | ({"marker": marker} if marker else {})
        path = f"{_IMAGES}?{urlencode(query)}"
        try:
            images, link = self._ask("GET", path, glance_json.parse_page)
        except AnswerTooLargeError:
            if page_size == 1:
                raise
            return self._page(filters, page_size=page_size // 2, marker=marker)
        if link is not None and not (images and glance_json.continues_after(link, images[-1].id)):
            raise bad_answer(self._http.call("GET", path), "its link to the next page leads elsewhere")
        return images, page_size, link is not None

    def _check_order(self, before: str | None, image_id: str) -> None:
        """Some databases sort ids without regard to case. Anything else could hide images, or never end."""
        if before is not None and not (before < image_id or before.lower() < image_id.lower()):
            raise bad_answer(self._http.call("GET", _IMAGES), f"image {image_id} came after {before}")

    def _ask_image(self, method: str, path: str, image_id: str, **kwargs: Any) -> Image:
        image = self._ask(method, path, glance_json.parse_image, **kwargs)
        if image.id.lower() != image_id.lower():
            raise bad_answer(self._http.call(method, path), f"it shows image {image.id}, not {image_id}")
        return image

    def _ask(self, method: str, path: str, parse: Callable[[Any], Parsed], **kwargs: Any) -> Parsed:
        response, data = self._http.request(path, method, **kwargs)
        try:
            return parse(data)
        except glance_json.MalformedError as error:
            raise bad_answer(self._http.call(method, path), str(error),
                             response.headers.get(REQUEST_ID_HEADER)) from error
