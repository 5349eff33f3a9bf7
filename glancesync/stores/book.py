# SPDX-License-Identifier: Apache-2.0
"""The stores that are in force. Made by cmd, which has it read at start and at each reload; read by who copies."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from glancesync.exceptions import ConfigurationError
from glancesync.model.region import Region
from glancesync.model.store import GlanceStores, StoresConfig
from glancesync.stores.loader import check_path, load_stores


class StoreBook:
    """Empty before the first `take`. `known`: the regions as Keystone last showed them, none before it did; `drivers`:
    the names that an order of drivers may have, none where any may."""

    def __init__(self, known: Callable[[], Iterable[Region]], drivers: Collection[str] = ()) -> None:
        self._known = known
        self._drivers = drivers
        self._config = StoresConfig()

    @property
    def config(self) -> StoresConfig:
        return self._config

    def read(self, config_file: str | None) -> StoresConfig:
        """What the file says; nothing is put in force. Raises ConfigurationError."""
        if config_file is None:
            return StoresConfig()
        return load_stores(check_path(config_file), sorted(self._known()), self._drivers)

    def check_order(self, names: Iterable[str]) -> None:
        """Raises ConfigurationError for a driver in an order that is not installed."""
        unknown = sorted(set(names) - set(self._drivers)) if self._drivers else []
        if unknown:
            raise ConfigurationError(f"[stores] drivers names {', '.join(unknown)}; there are "
                                     f"{', '.join(sorted(self._drivers))}")

    def take(self, config: StoresConfig) -> None:
        """Put it in force, all at once."""
        self._config = config

    def find(self, region: Region) -> GlanceStores | None:
        """The stores of a region, None where the file names none."""
        return self._config.find(region)
