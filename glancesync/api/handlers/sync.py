# SPDX-License-Identifier: Apache-2.0
"""An operator's wish: compare these images in these regions now, or say what that would do."""
from __future__ import annotations

from glancesync.api.call import Call, Reply
from glancesync.api.views import submitted


def submit(call: Call) -> Reply:
    chosen = {"image_ids": call.body.get("image_ids"), "regions": call.body.get("regions")}
    if call.body.get("dry_run"):
        return Reply(status=200, body={"plan": call.service.plan(**chosen)})
    return Reply(body=submitted(call.service.submit(**chosen, request_id=call.request_id)))
