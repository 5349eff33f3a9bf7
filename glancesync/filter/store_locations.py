# SPDX-License-Identifier: Apache-2.0
"""Lets a cascaded Glance take a file of its own store as an image's bytes, for tokens with a role of its own.

glance-api-paste.ini of a *cascaded* Glance names `filter_factory`, between `context` and `rootapp`:

    [filter:glancesync-store]
    paste.filter_factory = glancesync.filter.store_locations:filter_factory
    role = glance_sync_store

Unmodified Glance refuses every `file://` location. With this it takes exactly `file://DATADIR/IMAGE_ID` of an enabled
file store, by `POST /v2/images/IMAGE_ID/locations` alone, for a queued image, from a token that has the role; what lies
there must be as store_files says, and is inspected as an upload would be. All else stays refused. What nobody has
verified yet comes by a path of its own (store_demands).
"""
from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import glance.location
from glance.common import exception, store_utils
from oslo_config import cfg

from glancesync.exceptions import ConfigurationError
from glancesync.filter.store_demands import VerifiedLocations, find_wanted
from glancesync.filter.store_files import RefusedFileError, find_permitted, open_permitted
from glancesync.filter.store_inspection import inspect_file

LOG = logging.getLogger("glancesync.filter")
ROLE = "glance_sync_store"
#: What an image carries while Glance's location task works on it; no PATCH sets it.
_LOCK = "os_glance_import_task"
_MARK = "glancesync_store_role"
_SEAMS = ((glance.location.StoreLocations, "insert", ["self", "i", "location"]),
          (store_utils, "validate_external_location", ["uri"]))
_permitted = threading.local()
Application = Callable[..., Any]


def filter_factory(global_conf: Mapping[str, str], **local_conf: str) -> Callable[[Application], Application]:
    """Paste's entry. Raises ConfigurationError, which stops Glance's start, for an unknown option or Glance."""
    unknown = set(local_conf) - {"role"}
    role = local_conf.get("role", ROLE).strip()
    if unknown or not role:
        raise ConfigurationError(f"the store filter in {global_conf.get('__file__', 'the paste file')}: the one option "
                                 f"is role, with a role's name; {', '.join(sorted(unknown)) or 'it is empty'}")
    install(role)
    return lambda application: VerifiedLocations(application, cfg.CONF)


def install(role: str) -> None:
    """Put it around Glance's checks, once per process. Raises ConfigurationError when this Glance has other seams."""
    known = getattr(glance.location.StoreLocations.insert, _MARK, None)
    if known == role:
        return
    if known is not None:
        raise ConfigurationError(f"the store filter is named twice, with the roles {known} and {role}")
    for owner, name, expected in _SEAMS:
        method = getattr(owner, name, None)
        if method is None or list(inspect.signature(method).parameters) != expected:
            raise ConfigurationError(f"This Glance is not known: it has no {name}({', '.join(expected)}). Take the "
                                     "store filter out of its paste file.")
    validate, insert = store_utils.validate_external_location, glance.location.StoreLocations.insert

    @functools.wraps(validate)
    def wrapped_validate(uri: str) -> bool:
        return (uri is not None and uri == getattr(_permitted, "url", None)) or bool(validate(uri))

    @functools.wraps(insert)
    def wrapped_insert(self: Any, i: int, location: dict[str, Any]) -> None:
        with _permit(self.image_proxy, location, role):
            insert(self, i, location)

    setattr(wrapped_insert, _MARK, role)
    store_utils.validate_external_location = wrapped_validate
    glance.location.StoreLocations.insert = wrapped_insert


@contextlib.contextmanager
def _permit(image: Any, location: Mapping[str, Any], role: str) -> Iterator[None]:
    """While it lasts this thread may register the location, if it is the image's own file."""
    url = location.get("url") or ""
    path = find_permitted(url, image.image_id, list_folders(cfg.CONF)) if url.startswith("file:") else None
    if path is None or not _may(image, role):
        yield
        return
    virtual_size, checksum = _judge(path, image)
    _permitted.url = url
    try:
        yield
    finally:
        del _permitted.url
    if virtual_size:
        image.virtual_size = virtual_size
    if checksum is not None:
        image.checksum = checksum


def _may(image: Any, role: str) -> bool:
    """Only a location task of a token with the role, on an image that has no bytes yet."""
    roles = getattr(image.context, "roles", None) or ()
    return role in roles and image.status == "queued" and _LOCK in image.extra_properties


def _judge(path: str, image: Any) -> tuple[int | None, str | None]:
    """Glance itself computes the checksum where it hashes what is registered."""
    demand = find_wanted(image.context)
    lacking = demand.checksum is None and not cfg.CONF.do_secure_hash
    try:
        with open_permitted(path) as file:
            virtual_size, checksum = inspect_file(file, image, with_checksum=lacking, digest=demand.digest)
            return virtual_size, checksum or demand.checksum
    except RefusedFileError as error:
        LOG.warning("the file of image %s is refused: %s", image.image_id, error)
        raise exception.BadStoreUri(message="Invalid location") from None


def list_folders(conf: cfg.ConfigOpts) -> Iterable[str]:
    """Where Glance's enabled file stores keep images, as its options say."""
    if conf.enabled_backends:
        sections = [name for name, kind in conf.enabled_backends.items() if kind == "file"]
    else:
        sections = ["glance_store"] if "file" in conf.glance_store.stores else []
    for name in sections:
        section = conf[name]
        if section.filesystem_store_datadir:
            yield section.filesystem_store_datadir
        for each in section.filesystem_store_datadirs or ():
            yield each.rpartition(":")[0] if each.rpartition(":")[2].isdigit() else each
