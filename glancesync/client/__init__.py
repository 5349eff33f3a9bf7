# SPDX-License-Identifier: Apache-2.0
"""The sync server's HTTP API as Python calls. Used by the filter inside Glance and by the commands."""
from __future__ import annotations

from glancesync.client.client import SyncClient

__all__ = ["SyncClient"]
