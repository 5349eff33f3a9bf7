# SPDX-License-Identifier: Apache-2.0
"""The regions, how work in them went, and the original's list of cascaded endpoints."""
from __future__ import annotations

from glancesync.api.call import Call, Reply


def list_regions(call: Call) -> Reply:
    return Reply(body={"regions": call.service.list_regions()})


def list_endpoints(call: Call) -> Reply:
    return Reply(body={"eps": call.service.cascaded_endpoints(call.body["regions"])})


def get_history(call: Call) -> Reply:
    return Reply(body=call.service.history(seconds=call.query.get("seconds", 3600), region=call.query.get("region"),
                                           points=call.query.get("points", 60)))
