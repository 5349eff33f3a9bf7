# SPDX-License-Identifier: Apache-2.0
"""The regions, what an operator does with one, how work in them went, and the original's list of endpoints."""
from __future__ import annotations

from glancesync.api.call import Call, Reply
from glancesync.exceptions import RegionNotFoundError


def list_regions(call: Call) -> Reply:
    return Reply(body={"regions": call.service.list_regions()})


def get_region(call: Call) -> Reply:
    return _one(call)


def freeze(call: Call) -> Reply:
    call.service.freeze_region(call.path["region"], by=call.context.user_id if call.context else None,
                               reason=(call.body or {}).get("reason"))
    return _one(call)


def thaw(call: Call) -> Reply:
    call.service.thaw_region(call.path["region"])
    return _one(call)


def list_endpoints(call: Call) -> Reply:
    return Reply(body={"eps": call.service.cascaded_endpoints(call.body["regions"], call.rights.own_project())})


def get_history(call: Call) -> Reply:
    return Reply(body=call.service.history(seconds=call.query.get("seconds", 3600), region=call.query.get("region"),
                                           points=call.query.get("points", 60)))


def _one(call: Call) -> Reply:
    for region in call.service.list_regions():
        if region["name"] == call.path["region"]:
            return Reply(body={"region": region})
    raise RegionNotFoundError(f"there is no region {call.path['region']!r}")
