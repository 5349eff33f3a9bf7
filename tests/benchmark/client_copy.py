# SPDX-License-Identifier: Apache-2.0
"""`client_copy.py LAB_DIR REGION SOURCE_ID IMAGE_ID`: what a script with python-glanceclient does. Used by `streaming`.

The bytes go from the cascading region's image to the queued one in REGION, through this process's memory in pieces.
"""
from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from glanceclient import Client

from glancesync.lab.cloud import Lab


class Stream:
    """`images.upload` wants a file; `images.data` gives pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, _size: int = -1) -> bytes:
        return next(self._pieces, b"")


def main(lab_dir: str, region: str, source_id: str, image_id: str) -> None:
    lab = Lab(Path(lab_dir))
    session = lab.session("admin")
    source, target = (Client("2", session=session, endpoint_override=lab.endpoint(name))
                      for name in (lab.cascading_region, region))
    target.images.upload(image_id, Stream(iter(source.images.data(source_id))))


if __name__ == "__main__":
    main(*sys.argv[1:])
