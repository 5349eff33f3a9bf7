# SPDX-License-Identifier: Apache-2.0
"""What rsync is told of its blocks: larger ones only where its own would be smaller and the image is worth it."""
from __future__ import annotations

import pytest

from glancesync.stores.agent import delta


@pytest.mark.parametrize(("size", "words"), [
    (0, []), (2 ** 27 - 1, []), (2 ** 27, ["--block-size=65536"]), (2 ** 32 - 1, ["--block-size=65536"]),
    (2 ** 32, []), (2 ** 40, [])])
def test_blocks(size: int, words: list[str]) -> None:
    assert delta._block_size(size) == words
