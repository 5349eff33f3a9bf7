# SPDX-License-Identifier: Apache-2.0
"""The original's route for locations. An INSERT whose metadata says `image_from` names the region that the image was
born in; everything else is a hint to look at the image again.

The region is metadata's `region`, or the one whose image endpoint the URL begins with; the image there is metadata's
`image_id`, or the last part of the URL.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glancesync.api.call import Call, Reply
from glancesync.api.views import submitted
from glancesync.exceptions import InvalidInputError
from glancesync.model.birth import BirthClaim, ImageFrom
from glancesync.model.event import check_image_id
from glancesync.model.location import why_refused
from glancesync.model.task import Trigger


def put_location(call: Call) -> Reply:
    image_id, locations = call.path["image_id"], call.body.get("locations") or []
    claim = None
    if call.body["action"] == "INSERT":
        for location in locations:
            _check_url(_url(location))
        claim = _claim(call, image_id, [each for each in locations if _metadata(each).get("image_from") is not None])
    if claim is not None:
        return Reply(body=submitted(call.service.claim_birth(claim)))
    if call.body["action"] == "INSERT" and any(call.service.region_of_endpoint(_url(each)) is None
                                               for each in locations):
        return Reply(body=submitted(call.service.mark_located(image_id, request_id=call.request_id)))
    return Reply(body=submitted(call.service.hint(image_id, trigger=Trigger.ORIGINAL, request_id=call.request_id)))


def _claim(call: Call, image_id: str, born: Sequence[Mapping[str, Any]]) -> BirthClaim | None:
    if not born:
        return None
    if len(born) > 1:
        raise InvalidInputError("only one location can say image_from: an image is born in one region")
    metadata, url = born[0]["metadata"], _url(born[0])
    try:
        image_from = ImageFrom(str(metadata["image_from"]).lower())
    except ValueError:
        raise InvalidInputError(f"image_from must be one of {', '.join(ImageFrom)}") from None
    region = metadata.get("region") or call.service.region_of_endpoint(url)
    if not isinstance(region, str):
        raise InvalidInputError("the location's url is under no cascaded region's image endpoint; name the region in "
                                "its metadata")
    origin_id = check_image_id(metadata.get("image_id") or url.rstrip("/").rpartition("/")[2])
    return BirthClaim(image_id=image_id, region=region, origin_id=origin_id, image_from=image_from,
                      user_id=call.context.user_id if call.context else None, request_id=call.request_id)


def _url(location: Any) -> str:
    return str(location["url"] if isinstance(location, dict) else location)


def _metadata(location: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (location.get("metadata") or {}) if isinstance(location, dict) else {}
    return found


def _check_url(url: str) -> None:
    """Neither is the URL told again nor opened; one that carries a password should not have been sent at all."""
    refused = why_refused(url)
    if refused is not None:
        raise InvalidInputError(f"a location's url {refused}")
