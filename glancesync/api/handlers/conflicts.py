# SPDX-License-Identifier: Apache-2.0
"""Images that stand in a replica's way: look, and decide."""
from __future__ import annotations

from glancesync.api.call import Call, Reply
from glancesync.api.views import page, page_limit, task_json
from glancesync.model.replica import ConflictChoice
from glancesync.service.conflicts import Chosen


def list_conflicts(call: Call) -> Reply:
    filters = {name: call.query[name] for name in ("image_id", "region") if name in call.query}
    rows = call.service.list_conflicts(limit=page_limit(call) + 1, marker=call.query.get("marker"), filters=filters)
    return Reply(body=page(call, "conflicts", rows, dict))


def choose(call: Call) -> Reply:
    chosen = Chosen(choice=ConflictChoice(call.body["choice"]), stranger_id=call.body.get("replica_id"),
                    user_id=call.context.user_id if call.context else None, request_id=call.request_id)
    task = call.service.choose(call.path["image_id"], call.path["region"], chosen)
    return Reply(body={"task": task_json(task, with_server=call.rights.allows("tasks:list_all"))})
