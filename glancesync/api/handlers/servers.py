# SPDX-License-Identifier: Apache-2.0
"""The servers that share the work."""
from __future__ import annotations

from glancesync.api.call import Call, Reply


def list_servers(call: Call) -> Reply:
    return Reply(body={"servers": call.service.list_servers(), "chores": call.service.list_chores()})
