# SPDX-License-Identifier: Apache-2.0
"""From a committed change to an event in the outbox, without ever harming the request that made it.

Used by `proxies` (report) and the WSGI filter (ensure_running), in Glance's request and task threads.
"""
from __future__ import annotations

import os
import re
from typing import Any

from glancesync.clock import Clock
from glancesync.exceptions import InvalidInputError
from glancesync.filter.complaints import Complaints, Guard
from glancesync.filter.daemon import SenderThread
from glancesync.filter.outbox import Outbox
from glancesync.model.event import Event, Operation, check_image_id, new_event_id

_TEXT_LIMIT = 255
_ROLES_LIMIT = 100
#: What the server takes in an id. A caller of Glance may choose the request id freely.
_STRANGE = re.compile(r"[^!-~]")


class Reporter:
    """One per process. Survives forks: what cannot be shared with the parent is made anew at the first use."""

    def __init__(self, *, outbox: Outbox, thread: SenderThread, guard: Guard, clock: Clock, complaints: Complaints,
                 host: str) -> None:
        self._outbox = outbox
        self._thread = thread
        self._guard = guard
        self._clock = clock
        self._complaints = complaints
        self._host = host
        self._pid = os.getpid()

    def report(self, operation: Operation, image: object, context: object) -> None:
        """Glance has committed this. Never raises an Exception, never waits for network or another process."""
        if not self._guard.run(lambda: self._record(operation, image, context)):
            self._outbox.note_loss()

    def ensure_running(self) -> None:
        """This process serves requests: let its sender run. Costs nothing once it does."""
        if not self._thread.is_running:
            self._guard.run(self._start)

    def before_fork(self) -> None:
        self._guard.run(self._thread.before_fork)

    def after_fork(self) -> None:
        """In the child: close what belongs to the parent. Also called in children that only live to exec, so it
        starts nothing."""
        self._pid = os.getpid()
        self._outbox.forget()
        self._thread.forget()

    def _start(self) -> None:
        if self._pid != os.getpid():
            self.after_fork()
        self._thread.start()

    def _record(self, operation: Operation, image: Any, context: object) -> None:
        self.ensure_running()
        try:
            checked = check_image_id(image.image_id)
        except InvalidInputError as error:
            self._complaints.warn("A change is not reported to the sync server: %s", error)
            return
        if self._outbox.append(self._event(operation, checked, context)):
            self._thread.wake()

    def _event(self, operation: Operation, image_id: str, context: Any) -> Event:
        roles = getattr(context, "roles", None) or ()
        return Event(id=new_event_id(), operation=operation, image_id=image_id, at=self._clock.now(),
                     request_id=_request_id(context), user_id=_text(context, "user_id"),
                     project_id=_text(context, "project_id"), host=self._host,
                     roles=tuple(str(role)[:_TEXT_LIMIT] for role in roles[:_ROLES_LIMIT]))


def _text(context: object, name: str) -> str | None:
    value = getattr(context, name, None)
    return _STRANGE.sub("?", str(value)[:_TEXT_LIMIT]) if value else None


def _request_id(context: object) -> str | None:
    """As Glance shows it to the caller."""
    value = _text(context, "request_id")
    return value if value is None or value.startswith("req-") else f"req-{value}"[:_TEXT_LIMIT]
