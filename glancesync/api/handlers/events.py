# SPDX-License-Identifier: Apache-2.0
"""Hints that an image changed: the filter's events, and the routes of the original Glance Sync Manager.

Whatever a body says about the image, the answer is the same: a task that reads the image again and obeys the rules.
"""
from __future__ import annotations

from glancesync.api.call import Call, Reply
from glancesync.api.views import submitted
from glancesync.model.event import event_from_json
from glancesync.model.task import Trigger


def submit_events(call: Call) -> Reply:
    events = [event_from_json(data) for data in call.body["events"]]
    return Reply(body=submitted(call.service.submit_events(events)))


def hint(call: Call) -> Reply:
    tasks = call.service.hint(call.path["image_id"], trigger=Trigger.ORIGINAL, request_id=call.request_id)
    return Reply(body=submitted(tasks))
