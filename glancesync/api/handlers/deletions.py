# SPDX-License-Identifier: Apache-2.0
"""What was deleted and why."""
from __future__ import annotations

from glancesync.api.call import Call, Reply
from glancesync.api.views import page, page_limit


def list_deletions(call: Call) -> Reply:
    filters = {name: call.query[name] for name in ("image_id", "region", "cause") if name in call.query}
    rows = call.service.list_deletions(limit=page_limit(call) + 1, marker=call.query.get("marker"), filters=filters)
    return Reply(body={**page(call, "deletions", rows, dict), "held": call.service.deletions_held()})
