# SPDX-License-Identifier: Apache-2.0
"""Client and server of different releases find a version of the API that both speak, or say who is too old."""
from __future__ import annotations

import pytest

from glancesync.client.versions import Spoken, Version, agree
from glancesync.exceptions import VersionNotSpokenError


def spoken(lowest: str, highest: str) -> Spoken:
    return Spoken(*(Version(*map(int, each.split("."))) for each in (lowest, highest)))


@pytest.mark.parametrize(("told", "ours", "best"), [
    (("1.0", "1.0"), ("1.0", "1.0"), "1.0"),
    (("1.0", "1.9"), ("1.0", "1.4"), "1.4"),
    (("1.3", "1.9"), ("1.0", "1.10"), "1.9"),
    (("1.0", "1.2"), ("1.0", "1.10"), "1.2"),
    (("1.9", "2.1"), ("1.9", "1.10"), "1.10"),
])
def test_the_newest_that_both_speak(told: tuple[str, str], ours: tuple[str, str], best: str) -> None:
    assert str(agree(told, spoken(*ours))) == best


@pytest.mark.parametrize(("told", "ours", "words"), [
    (("2.0", "2.4"), ("1.0", "1.9"), "2.0 to 2.4 of its API, this client 1.0 to 1.9: upgrade the client"),
    (("1.0", "1.2"), ("1.3", "1.9"), "upgrade the server"),
    (None, ("1.0", "1.0"), "names no other"), (("None", "None"), ("1.0", "1.0"), "names no other"),
    (("1.0", "x" * 9), ("1.0", "1.0"), "names no other")])
def test_what_has_none_in_common_is_told(told: tuple[str, str] | None, ours: tuple[str, str], words: str) -> None:
    with pytest.raises(VersionNotSpokenError, match=words):
        agree(told, spoken(*ours))
