# SPDX-License-Identifier: Apache-2.0
"""Which version of the API the client speaks with a server (pure). Used by the client.

It asks for the newest that it knows. A server that does not speak that says which it speaks, and has done nothing; the
newest that both know is used from then on.
"""
from __future__ import annotations

import re
from typing import NamedTuple

from glancesync.exceptions import VersionNotSpokenError

HEADER = "OpenStack-API-Version"
SERVICE_TYPE = "image-sync"


class Version(NamedTuple):
    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Spoken(NamedTuple):
    lowest: Version
    highest: Version


#: What this client understands. Whoever has it understand a newer one raises `highest`; `lowest` rises when it needs
#: what older servers do not have.
OURS = Spoken(Version(1, 0), Version(1, 0))


def agree(told: tuple[str, str] | None, ours: Spoken = OURS) -> Version:
    """The newest version that both speak. `told`: what the server named as its lowest and highest. Raises
    VersionNotSpokenError naming who is the older one."""
    lowest, highest = map(_parse, told or ("", ""))
    if lowest is None or highest is None:
        raise VersionNotSpokenError(f"The sync server refuses version {ours.highest} of its API and names no other: "
                                    "see that the URL is that of a glance-sync server.")
    best = min(ours.highest, highest)
    if best >= max(ours.lowest, lowest):
        return best
    older = "the client" if ours.highest < lowest else "the server"
    raise VersionNotSpokenError(f"The sync server speaks versions {lowest} to {highest} of its API, this "
                                f"client {ours.lowest} to {ours.highest}: upgrade {older}.")


def header(version: Version) -> dict[str, str]:
    """What asks for it."""
    return {HEADER: f"{SERVICE_TYPE} {version}"}


def _parse(text: str) -> Version | None:
    match = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})", text, re.ASCII)
    return Version(int(match[1]), int(match[2])) if match else None
