# SPDX-License-Identifier: Apache-2.0
"""Finds the installed drivers and makes one of each. Called by cmd."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stevedore import ExtensionManager

from glancesync.clock import Clock
from glancesync.exceptions import ConfigurationError
from glancesync.stores.driver import CopyDriver

NAMESPACE = "glancesync.stores"


@dataclass(frozen=True, kw_only=True)
class DriverOptions:
    """What drivers are made with; the callables give what is in force when they are asked."""

    clock: Clock
    copy_timeout_seconds: Callable[[], float]
    shell_tries: Callable[[], int]
    import_interface: Callable[[], str] = field(default_factory=lambda: lambda: "public")


def load_drivers(options: DriverOptions) -> dict[str, CopyDriver]:
    """Every installed driver by its name. Raises ConfigurationError for one that cannot be loaded."""
    def fail(_manager: object, entry: object, error: BaseException) -> None:
        raise ConfigurationError(f"the store driver {entry} cannot be loaded: {error}") from error

    found: ExtensionManager[Any] = ExtensionManager(NAMESPACE, on_load_failure_callback=fail)
    return {extension.name: extension.plugin(options) for extension in found}
