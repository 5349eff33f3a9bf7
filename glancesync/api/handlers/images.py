# SPDX-License-Identifier: Apache-2.0
"""How images stand in each region."""
from __future__ import annotations

from glancesync.api.call import Call, Reply
from glancesync.api.views import page, page_limit, sort_of
from glancesync.exceptions import ForbiddenError, ImageNotFoundError
from glancesync.model.sort import BY_ID


def list_images(call: Call) -> Reply:
    filters = {name: call.query[name] for name in ("state", "region", "reason_code", "deleted") if name in call.query}
    owner, sort = _owner(call), sort_of(call, BY_ID)
    if sort.key != BY_ID.key:
        _check_marker(call, owner)
    rows = call.service.list_images(limit=page_limit(call) + 1, marker=call.query.get("marker"), owner=owner,
                                    filters=filters, sort=sort)
    return Reply(body=page(call, "images", rows, dict))


def get_image(call: Call) -> Reply:
    image_id = call.path["image_id"]
    try:
        image = call.service.get_image(image_id)
    except ImageNotFoundError:
        image = None
    if image is None or not call.rights.allows("images:get", owner=image["owner"]):
        # One text for both, so that it does not tell a stranger that the image exists.
        raise ImageNotFoundError(f"No image {image_id} is known here.")
    return Reply(body={"image": image})


def list_ways(call: Call) -> Reply:
    return Reply(body={"ways": call.service.list_ways(call.path["image_id"], call.path["region"])})


def _check_marker(call: Call, owner: str | None) -> None:
    """Only an image of the listing may mark a page that is sorted by something else than the id: the place of
    another's would tell a stranger its name or size."""
    marker = call.query.get("marker")
    if marker is not None and owner is not None and call.service.owner_of(marker) != owner:
        raise ImageNotFoundError(f"No image {marker} of this listing is known here.")


def _owner(call: Call) -> str | None:
    """Whose images to list, None for everybody's; raises ForbiddenError."""
    asked: str | None = call.query.get("owner")
    if call.rights.allows("images:list_all"):
        return asked
    if asked is not None and not call.rights.allows("images:list", owner=asked):
        raise ForbiddenError("Your roles do not allow listing the images of another project.")
    return asked or call.rights.own_project()
