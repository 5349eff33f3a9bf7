# SPDX-License-Identifier: Apache-2.0
"""The regions, and the original's list of cascaded endpoints."""
from __future__ import annotations

from glancesync.api.call import Call, Reply


def list_regions(call: Call) -> Reply:
    return Reply(body={"regions": call.service.list_regions()})


def list_endpoints(call: Call) -> Reply:
    return Reply(body={"eps": call.service.cascaded_endpoints(call.body["regions"])})
