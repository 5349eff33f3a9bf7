# SPDX-License-Identifier: Apache-2.0
"""An operator's wish: compare these images in these regions now, or say what that would do."""
from __future__ import annotations

from glancesync.api.call import Call, Reply
from glancesync.api.views import Json, next_link, page_limit, submitted
from glancesync.conf.image_rules import ALLOWED, ImageRules, parse_rules
from glancesync.exceptions import InvalidInputError
from glancesync.service.plans import PlanPage


def submit(call: Call) -> Reply:
    image_ids, regions, only = call.body.get("image_ids"), call.body.get("regions"), _filter(call)
    if call.body.get("dry_run"):
        return Reply(status=200, body=_plan(call, image_ids=image_ids, regions=regions, only=only))
    if call.query:
        raise InvalidInputError("limit and marker are for a dry run of everything")
    return Reply(body=submitted(call.service.submit(image_ids=image_ids, regions=regions, only=only,
                                                    request_id=call.request_id)))


def _filter(call: Call) -> ImageRules | None:
    text = call.body.get("filter")
    if text is None:
        return None
    if call.body.get("image_ids") is not None:
        raise InvalidInputError("name image_ids or a filter, not both")
    try:
        return parse_rules(text)
    except ValueError as error:
        raise InvalidInputError(f"filter: {error}; allowed are {ALLOWED}") from error


def _plan(call: Call, *, image_ids: list[str] | None, regions: list[str] | None,
          only: ImageRules | None) -> Json:
    """Of everything it is a page; the link to the next is to be asked with the same body."""
    if image_ids is not None:
        if call.query:
            raise InvalidInputError("limit and marker are for a dry run of everything, not of image_ids")
        return _shown(call.service.plan(image_ids=image_ids, regions=regions))
    limit = page_limit(call)
    found = call.service.plan_page(regions=regions, limit=limit, marker=call.query.get("marker"), only=only)
    return _shown(found) | ({"next": next_link(call, limit, found.marker)} if found.marker is not None else {})


def _shown(found: PlanPage) -> Json:
    return {"plan": found.rows, "left_out": [{"region": name, "reason": reason}
                                             for name, reason in found.left_out.items()]}
