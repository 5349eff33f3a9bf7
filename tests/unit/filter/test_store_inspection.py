# SPDX-License-Identifier: Apache-2.0
"""A file is judged as Glance's own `set_data` judges an upload of the same bytes, whatever is hashed beside it."""
from __future__ import annotations

import hashlib
import io
from types import SimpleNamespace

import pytest
from glance.common import exception
from glance.location import ImageProxy
from hypothesis import given, settings
from hypothesis import strategies as st
from oslo_utils.imageutils import format_inspector

from glancesync.filter import store_inspection
from glancesync.filter.store_files import RefusedFileError
from glancesync.filter.store_inspection import inspect_file

MIB = 2 ** 20
QCOW2 = b"QFI\xfb" + (3).to_bytes(4, "big") + bytes(16) + (7 * MIB).to_bytes(8, "big") + bytes(68)
GPT = bytes(446) + b"\0\0\2\0\xee\xff\xff\xff\1\0\0\0\xff\xff\xff\xff" + bytes(48) + b"\x55\xaa"
ISO = bytes(32768) + b"\1CD001\1" + bytes(73) + (9).to_bytes(4, "little") * 2 + bytes(40) + b"\0\x08\x08\0"
VMDK = (b"KDMV" + (1).to_bytes(4, "little") + bytes(20) + (1).to_bytes(8, "little") + (1).to_bytes(8, "little")
        + bytes(12) + b"\xff" * 8).ljust(512, b"\0")
DESCRIPTOR = b'createType="monolithicSparse"\nRW 8 SPARSE "a.vmdk"\n'.ljust(512, b"\0")
#: Beginnings that an inspector recognizes, or nearly does; hostile ones among them.
HEADS = (b"", QCOW2, QCOW2[:8] + b"\1" * 8 + QCOW2[16:], GPT, GPT[:450] + b"\xee" * 20 + GPT[470:], ISO,
         GPT + ISO[512:], VMDK + DESCRIPTOR, VMDK.replace(b"\xff", b"\0") + DESCRIPTOR, b"QED\0", b"conectix",
         b"LUKS\xba\xbe\0\1", b"vhdxfile", b"vhdxfile" + bytes(196600) + b"regi", b"# Disk DescriptorFile\n" * 40)
FORMATS = ("raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "gpt", "luks", "ami")


def judged(data, disk_format, chunk):
    """What Glance itself makes of an upload of the same bytes, by chunks of its own size."""
    upload = ImageProxy.__new__(ImageProxy)
    upload.image = SimpleNamespace(image_id="x", disk_format=disk_format, container_format="bare", extra_properties={},
                                   virtual_size=None, status="queued")
    upload._upload_to_store = lambda data, *_more: [None for _chunk in data]
    try:
        upload.set_data(iter([data[start:start + chunk] for start in range(0, len(data), chunk)]))
    except exception.InvalidImageData as error:
        return type(error), None
    return None, upload.image.virtual_size


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(HEADS), st.binary(max_size=2048), st.integers(0, 3 * MIB), st.sampled_from(FORMATS),
       st.booleans(), st.booleans())
def test_the_same_as_of_an_upload(head, tail, padding, disk_format, with_checksum, with_digest):
    data = head + bytes(padding) + tail
    image = SimpleNamespace(image_id="x", disk_format=disk_format, container_format="bare", extra_properties={})
    digest = ("sha512", hashlib.sha512(data).hexdigest()) if with_digest else None
    try:
        size, checksum = inspect_file(io.BytesIO(data), image, with_checksum=with_checksum, digest=digest)
        found = None, size
        assert checksum == (hashlib.md5(data, usedforsecurity=False).hexdigest() if with_checksum else None)
    except exception.InvalidImageData as error:
        found = type(error), None
    assert found == judged(data, disk_format, MIB)


def test_other_bytes_than_wanted_in_any_place(monkeypatch):
    monkeypatch.setattr(store_inspection, "_CHUNK_BYTES", 100)
    image = SimpleNamespace(image_id="x", disk_format="raw", container_format="bare", extra_properties={})
    data = bytes(range(250))
    digest = "sha512", hashlib.sha512(data).hexdigest()
    assert inspect_file(io.BytesIO(data), image, with_checksum=True, digest=digest)[0] == 250
    for place in (0, 99, 100, 249):
        other = bytearray(data)
        other[place] ^= 1
        with pytest.raises(RefusedFileError, match="another sha512"):
            inspect_file(io.BytesIO(bytes(other)), image, with_checksum=False, digest=digest)


def test_a_file_that_cannot_be_read_to_its_end_is_not_taken():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    image = SimpleNamespace(image_id="x", disk_format="raw", container_format="bare", extra_properties={})
    with pytest.raises(OSError, match="Input/output"):
        inspect_file(Broken(), image, with_checksum=True)


def test_every_format_that_glance_knows_is_among_those_tried():
    assert set(format_inspector.ALL_FORMATS) - {"qed"} <= set(FORMATS)
