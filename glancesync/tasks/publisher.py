# SPDX-License-Identifier: Apache-2.0
"""Sends messages that name tasks, as many as the fleet of workers has room for. Used by the fleet's engine, in servers
and in workers: whoever hears first that a task was submitted, or that one ended, sends what fits now.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from glancesync.clock import Clock, isoformat
from glancesync.exceptions import BrokerUnavailableError
from glancesync.tasks.publications import Fleet, Message, Publications

LOG = logging.getLogger(__name__)
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 5.0
_NOBODY = "no worker gives a sign of life: start glance-sync-worker"


class Carrier(Protocol):
    """Brings messages to some worker, or loses them: what it loses is sent again."""

    def check(self) -> None:
        """Connect, where there is no connection; raises BrokerUnavailableError."""

    def send(self, messages: Sequence[Message]) -> None:
        """Hand them over, in order; raises BrokerUnavailableError when one was not taken (others may have been)."""


class Publisher:
    """`room(region)`: how many tasks may run in the region at once, over all workers. `lost_after_seconds`: after that
    long without a claim a message counts as lost."""

    def __init__(self, *, publications: Publications, carrier: Carrier, room: Callable[[str], int],
                 lost_after_seconds: Callable[[], float], clock: Clock) -> None:
        self._publications = publications
        self._carrier = carrier
        self._room = room
        self._lost_after_seconds = lost_after_seconds
        self._clock = clock
        self._away: str | None = None
        self._failures = 0
        self._try_at = float("-inf")
        self._fleet: Fleet | None = None

    @property
    def trouble(self) -> str | None:
        """Why nobody hears of tasks, in words for an operator."""
        if self._away is not None:
            return self._away
        return _NOBODY if self._fleet is not None and not self._fleet.workers else None

    def run_once(self) -> int:
        """Send what there is room for; how many messages. While the broker is away it is tried again in growing
        intervals, and nothing is marked. Raises NotReadyError when the database cannot answer."""
        if self._clock.monotonic() < self._try_at:
            return 0
        messages: list[Message] = []
        try:
            self._carrier.check()
            fleet, messages = self._publications.mark(self._room, self._lost_after_seconds())
            self._note(fleet)
            if messages:
                self._carrier.send(messages)
        except BrokerUnavailableError as error:
            self._is_away(error)
            if messages:
                self._publications.unmark([message.name for message in messages])
            return 0
        self._is_back()
        return len(messages)

    def _is_away(self, error: BrokerUnavailableError) -> None:
        if self._away is None:
            self._away = f"since {isoformat(self._clock.now())} {error}"
            LOG.warning("tasks wait in the database, because no worker can be told of them: %s", error)
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** self._failures, _LONGEST_PAUSE_SECONDS)
        self._failures = min(self._failures + 1, 10)
        self._try_at = self._clock.monotonic() + pause

    def _is_back(self) -> None:
        if self._away is not None:
            LOG.info("the message broker answers again, tasks are published")
        self._away, self._failures, self._try_at = None, 0, float("-inf")

    def _note(self, fleet: Fleet) -> None:
        before, self._fleet = self._fleet, fleet
        if not fleet.workers and (before is None or before.workers):
            LOG.warning("tasks wait in the database: %s", _NOBODY)
        elif fleet.workers and before is not None and not before.workers:
            LOG.info("%d workers live, tasks are published", fleet.workers)
