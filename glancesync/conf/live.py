# SPDX-License-Identifier: Apache-2.0
"""Settings that may change while the server runs. Made by cmd, which alone hands in new ones.

Components are handed `LiveSettings.sections` and read their section as if it were frozen: each reading gives the value
that is in force then. What a component keeps of it (the size of a pool, a time to wake up at) it has to be told of;
`cmd.build` lists who is.
"""
from __future__ import annotations

from dataclasses import fields
from typing import Any, cast

from glancesync.conf import Settings


class LiveSettings:
    """Holds the settings in force. `now` is frozen, `sections` follows every `take`."""

    def __init__(self, settings: Settings) -> None:
        self.now = settings
        views = {field.name: _Section(self, field.name) for field in fields(Settings)}
        self.sections = Settings(**cast(Any, views))

    def take(self, settings: Settings) -> None:
        """Put new ones in force, all at once."""
        self.now = settings


class _Section:
    """Reads like the frozen settings of one section, and can be written as little."""

    __slots__ = ("_live", "_name")

    def __init__(self, live: LiveSettings, name: str) -> None:
        object.__setattr__(self, "_live", live)
        object.__setattr__(self, "_name", name)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self._live.now, self._name), name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings are not written, {name} neither; a reload puts new ones in force")
