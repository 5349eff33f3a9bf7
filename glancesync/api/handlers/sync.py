# SPDX-License-Identifier: Apache-2.0
"""An operator's wish: compare these images in these regions now, or say what that would do."""
from __future__ import annotations

from glancesync.api.call import Call, Reply
from glancesync.api.views import Json, next_link, page_limit, submitted
from glancesync.exceptions import InvalidInputError


def submit(call: Call) -> Reply:
    chosen = {"image_ids": call.body.get("image_ids"), "regions": call.body.get("regions")}
    if call.body.get("dry_run"):
        return Reply(status=200, body=_plan(call, **chosen))
    if call.query:
        raise InvalidInputError("limit and marker are for a dry run of everything")
    return Reply(body=submitted(call.service.submit(**chosen, request_id=call.request_id)))


def _plan(call: Call, *, image_ids: list[str] | None, regions: list[str] | None) -> Json:
    """Of everything it is a page; the link to the next is to be asked with the same body."""
    if image_ids is not None:
        if call.query:
            raise InvalidInputError("limit and marker are for a dry run of everything, not of image_ids")
        return {"plan": call.service.plan(image_ids=image_ids, regions=regions)}
    limit = page_limit(call)
    found = call.service.plan_page(regions=regions, limit=limit, marker=call.query.get("marker"))
    left_out = [{"region": name, "reason": reason} for name, reason in found.left_out.items()]
    return {"plan": found.rows, "left_out": left_out} | (
        {"next": next_link(call, limit, found.marker)} if found.marker is not None else {})
