# SPDX-License-Identifier: Apache-2.0
"""Which file may become an image's bytes: exactly one path for each image, and what must lie there. No Glance here.

Used by store_locations.
"""
from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from typing import BinaryIO

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


class RefusedFileError(Exception):
    """Why a file is not taken; the message is for Glance's log."""


def find_permitted(url: str, image_id: str, folders: Iterable[str]) -> str | None:
    """The path that the URL means, None when it is not the one of this image. URLs are compared as they are: what is
    written in another way (`..`, `//`, %2e, another host, another scheme) is another URL."""
    if not _UUID.match(image_id):
        return None
    for folder in folders:
        path = f"{folder.rstrip('/')}/{image_id}"
        if os.path.isabs(path) and url == f"file://{path}":
            return path
    return None


def open_permitted(path: str) -> BinaryIO:
    """The file, open for reading. Raises RefusedFileError for anything but a regular file of one link with bytes in it
    that belongs to this process's user and that nobody else may write: what was verified must stay as it is."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise RefusedFileError(f"it cannot be opened: {error.strerror}") from None
    try:
        _check(os.fstat(descriptor))
    except RefusedFileError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb", buffering=0)


def _check(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise RefusedFileError("it is no regular file")
    if found.st_nlink != 1:
        raise RefusedFileError(f"it has {found.st_nlink} links")
    if found.st_size == 0:
        raise RefusedFileError("it is empty")
    if found.st_uid != os.geteuid():
        raise RefusedFileError(f"it belongs to user {found.st_uid}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise RefusedFileError(f"others may write it (mode {found.st_mode & 0o777:04o})")
