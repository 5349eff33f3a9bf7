# SPDX-License-Identifier: Apache-2.0
"""Where an image was born that was made in a cascaded region: a snapshot of a server, or an image of a volume."""
from __future__ import annotations

from dataclasses import dataclass

from glancesync.model.meaning import Explained

_FOLLOWS = "The image is filled from there, and copied to the other regions."


class ImageFrom(Explained):
    """What the image was made from, in the words of the original's location metadata."""

    SNAPSHOT = ("snapshot", "A snapshot of a server.", _FOLLOWS, "Nothing.")
    VOLUME = ("volume", "A volume that was uploaded to an image.", _FOLLOWS, "Nothing.")


@dataclass(frozen=True, kw_only=True)
class BirthClaim:
    """What somebody says of an image: it was made from this image of that region. Nothing follows from it that the two
    Glances do not show themselves."""

    image_id: str
    region: str
    origin_id: str
    image_from: ImageFrom
    user_id: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Birth:
    """A claim that was written down. Times are seconds since the epoch.

    `waiting_since` is when the wait for the region's image began, None where none began since the last one ended;
    `filling_since` when the server first began to send bytes that were not verified since; `filled_at` when the
    cascading image had its bytes, verified. `reason_code` and `reason` are where the pair of the image and its region
    of birth stands.
    """

    image_id: str
    region: str
    origin_id: str
    image_from: ImageFrom
    waiting_since: float | None = None
    filling_since: float | None = None
    filled_at: float | None = None
    reason_code: str | None = None
    reason: str | None = None
