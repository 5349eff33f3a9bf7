# SPDX-License-Identifier: Apache-2.0
"""Reads a file as Glance reads an upload: its format inspector sees every byte, and so does a signature's verifier.

Used by store_locations. Glance's own `set_data` does the judging: what it would refuse as an upload is refused here.
Each hash has a thread of its own beside it: hashlib lets go of the interpreter.
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, BinaryIO

from glance.location import ImageProxy

from glancesync.filter.store_files import RefusedFileError

_CHUNK_BYTES = 1024 * 1024


class _Upload(ImageProxy):  # type: ignore[misc]
    """An upload that is stored nowhere. The image it judges is a copy of what matters."""

    def __init__(self, image: Any, hashes: Sequence[Any]) -> None:
        self.image = SimpleNamespace(
            image_id=image.image_id, disk_format=image.disk_format, container_format=image.container_format,
            extra_properties=dict(image.extra_properties), virtual_size=None, status="queued")
        self.context = None
        self._hashes = hashes

    def _upload_to_store(self, data: Any, verifier: Any, store: Any = None, size: Any = None) -> None:
        with ThreadPoolExecutor(max(len(self._hashes), 1), thread_name_prefix="glancesync-hash") as pool:
            ahead: list[Future[None]] = []
            for chunk in data:  # the next one is read and inspected while this one is hashed
                _wait(ahead)
                ahead = [pool.submit(each.update, chunk) for each in self._hashes]
                if verifier is not None:
                    verifier.update(chunk)
            _wait(ahead)
        if verifier is not None:
            verifier.verify()


def inspect_file(file: BinaryIO, image: Any, *, with_checksum: bool,
                 digest: tuple[str, str] | None = None) -> tuple[int | None, str | None]:
    """The virtual size in bytes, where there is one to tell, and the md5 checksum if asked for. `digest`: the hash that
    the bytes must have, by its algorithm; RefusedFileError when they have not.

    Raises what an upload of these bytes would: glance.common.exception.InvalidImageData (another format, failed safety
    checks), and what cryptography raises for a wrong signature.
    """
    checksum = hashlib.md5(usedforsecurity=False) if with_checksum else None
    found = hashlib.new(digest[0], usedforsecurity=False) if digest else None
    upload = _Upload(image, [each for each in (checksum, found) if each is not None])
    upload.set_data(_chunks(file))
    if digest and found and found.hexdigest() != digest[1]:
        raise RefusedFileError(f"it has another {digest[0]} than the image is to have")
    return upload.image.virtual_size, checksum.hexdigest() if checksum else None


def _wait(futures: Sequence[Future[None]]) -> None:
    for each in futures:
        each.result()


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk
