# SPDX-License-Identifier: Apache-2.0
"""Exactly one path for each image, and only a plain file of Glance's own user there."""
from __future__ import annotations

import os

import pytest

from glancesync.filter.store_files import RefusedFileError, find_permitted, open_permitted

ID = "11111111-2222-4333-8444-abcdefabcdef"
OTHER = "99999999-2222-4333-8444-555555555555"


def test_the_one_path_of_an_image_in_each_folder():
    assert find_permitted(f"file:///a/images/{ID}", ID, ["/a/images/"]) == f"/a/images/{ID}"
    assert find_permitted(f"file:///b/{ID}", ID, ["/a/images", "/b"]) == f"/b/{ID}"


@pytest.mark.parametrize("url", [
    "", f"/a/{ID}", f"file://a/{ID}", f"file://localhost/a/{ID}", f"FILE:///a/{ID}", f"filesystem:///a/{ID}",
    f"http:///a/{ID}", f"file:///a/{OTHER}", f"file:///a/{ID}/", f"file:///a//{ID}", f"file:///a/./{ID}",
    f"file:///a/../a/{ID}", f"file:///a/{ID}/../{OTHER}", f"file:///a/%2e%2e/a/{ID}", f"file:///a/{ID}%00",
    f"file:///a/{ID}\0", f"file:///a/{ID}?x", f"file:///a/{ID}#x", f"file:///a/{ID.upper()}", "file:///etc/passwd",
    f"file:///a/staging/{ID}", f" file:///a/{ID}", f"file:///a/{ID}.part", f"file+x:///a/{ID}",
])
def test_all_other_urls_are_nobodys(url):
    assert find_permitted(url, ID, ["/a"]) is None


@pytest.mark.parametrize("image_id", ["", ".", "..", "../etc/passwd", f"{ID}\n", f"{ID}/x", ID.upper()])
def test_an_id_that_is_none_has_no_path(image_id):
    assert find_permitted(f"file:///a/{image_id}", image_id, ["/a"]) is None


def test_a_folder_that_is_none_permits_nothing():
    assert find_permitted(f"file://images/{ID}", ID, ["images"]) is None


def test_a_plain_file_is_read(tmp_path):
    path = tmp_path / ID
    path.write_bytes(b"bytes")
    path.chmod(0o640)
    with open_permitted(str(path)) as file:
        assert file.read() == b"bytes"


def _symlink(path):
    path.symlink_to("/etc/hostname")


def _hard_link(path):
    path.with_name("other").write_bytes(b"x")
    os.link(path.with_name("other"), path)


def _writable(path):
    path.write_bytes(b"x")
    path.chmod(0o666)


@pytest.mark.parametrize(("make", "why"), [
    (lambda path: None, "cannot be opened: No such file"), (_symlink, "cannot be opened: Too many levels"),
    (lambda path: path.mkdir(), "no regular file"), (os.mkfifo, "no regular file"),
    (lambda path: path.touch(), "is empty"), (_hard_link, "has 2 links"), (_writable, "others may write it"),
])
def test_anything_else_is_refused(tmp_path, make, why):
    make(tmp_path / ID)
    with pytest.raises(RefusedFileError, match=why):
        open_permitted(str(tmp_path / ID))


def test_a_file_of_somebody_else_is_refused(tmp_path, monkeypatch):
    (tmp_path / ID).write_bytes(b"x")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(RefusedFileError, match="belongs to user"):
        open_permitted(str(tmp_path / ID))
