# SPDX-License-Identifier: Apache-2.0
"""Which cascaded regions an image belongs in (pure). Called by the service, converge and reconcile."""
from __future__ import annotations

from collections.abc import Iterable

from glancesync.model.image import Image


def select_region_names(strategy: str, cascaded: Iterable[str]) -> frozenset[str]:
    """The regions that the strategy (None, ALL or USER, in any case) may give to an image. Which of them USER gives it
    depends on its owner, and is decided by the run: Keystone is not asked while something is submitted."""
    return frozenset(cascaded) if strategy.upper() in ("ALL", "USER") else frozenset()


def is_user(strategy: str) -> bool:
    """Whether an image's owner decides."""
    return strategy.upper() == "USER"


def is_transient(image: Image, transient_property: str | None) -> bool:
    """Whether the image says of itself that it is to be left alone."""
    return transient_property is not None and transient_property in image.properties
