# SPDX-License-Identifier: Apache-2.0
"""Two real servers share a PostgreSQL or MariaDB on the real cloud: what one leaves when it dies, the other ends."""
from __future__ import annotations

from collections.abc import Callable

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.every_step import kill_in_every_step
from tests.fixtures.takeover import HeldRegion

pytestmark = [pytest.mark.lab, pytest.mark.full]


def test_a_killed_server_in_every_step(servers: list[SyncServer], held: HeldRegion, lab: Lab,
                                       tell: Callable[[str], None]) -> None:
    first, second = servers

    def heir() -> None:
        second.bring_up()
        lab.server = second  # it is asked what is true

    kill_in_every_step(held, first, before=heir, tell=tell)
