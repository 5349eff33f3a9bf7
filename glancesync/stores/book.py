# SPDX-License-Identifier: Apache-2.0
"""The stores that are in force. Made by cmd, which has it read at start and at each reload; read by who copies."""
from __future__ import annotations

from collections.abc import Callable, Iterable

from glancesync.model.region import Region
from glancesync.model.store import GlanceStores, StoresConfig
from glancesync.stores.loader import check_path, load_stores


class StoreBook:
    """Empty before the first `take`. `known`: the regions as Keystone last showed them, none before it did."""

    def __init__(self, known: Callable[[], Iterable[Region]]) -> None:
        self._known = known
        self._config = StoresConfig()

    @property
    def config(self) -> StoresConfig:
        return self._config

    def read(self, config_file: str | None) -> StoresConfig:
        """What the file says; nothing is put in force. Raises ConfigurationError."""
        if config_file is None:
            return StoresConfig()
        return load_stores(check_path(config_file), sorted(self._known()))

    def take(self, config: StoresConfig) -> None:
        """Put it in force, all at once."""
        self._config = config

    def find(self, region: Region) -> GlanceStores | None:
        """The stores of a region, None where the file names none."""
        return self._config.find(region)
