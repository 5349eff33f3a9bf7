# SPDX-License-Identifier: Apache-2.0
"""One client for each region. Made by the commands, called by the directory."""
from __future__ import annotations

from keystoneauth1.session import Session

from glancesync.model.region import Region
from glancesync.regions.client import RegionClient
from glancesync.regions.glance import GlanceRegion


class RegionClients:
    """Clients over one session, made when first asked for and kept until the region's endpoint changes.

    Timeouts are in seconds: to connect, for an answer without image bytes or its next part, for such a request as a
    whole, and for which a stream of bytes may stand still.
    """

    def __init__(self, *, session: Session, connect_timeout_seconds: float, read_timeout_seconds: float,
                 idle_timeout_seconds: float, call_timeout_seconds: float = 300) -> None:
        self._session = session
        self._timeouts = {"connect_timeout_seconds": connect_timeout_seconds,
                          "read_timeout_seconds": read_timeout_seconds,
                          "idle_timeout_seconds": idle_timeout_seconds,
                          "call_timeout_seconds": call_timeout_seconds}
        self._clients: dict[str, tuple[str, RegionClient]] = {}

    def change_idle_timeout(self, seconds: float) -> None:
        """For all clients that are asked for from now on."""
        self._timeouts["idle_timeout_seconds"] = seconds
        self._clients.clear()

    def get(self, region: Region) -> RegionClient:
        """The region's client; the same one as long as its endpoint stays. Opens no connection."""
        endpoint, client = self._clients.get(region.name, (None, None))
        if client is None or endpoint != region.endpoint:
            client = GlanceRegion(region_name=region.name, endpoint=region.endpoint, session=self._session,
                                  **self._timeouts)
            self._clients[region.name] = (region.endpoint, client)
        return client
