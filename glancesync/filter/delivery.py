# SPDX-License-Identifier: Apache-2.0
"""Which events go to the sync server: equal ones merged (pure), and those that it refuses found one by one.

Used by `sender`.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from glancesync.exceptions import ConfigurationError, GlanceSyncError, InvalidInputError
from glancesync.model.event import Event, Operation


def merge_events(events: Iterable[Event]) -> list[Event]:
    """Of events with the same image and operation the newest, in order; nothing is merged across a `remove`."""
    kept: dict[int, Event] = {}
    newest: dict[str | None, dict[Operation, int]] = {}
    for position, event in enumerate(events):
        of_image = newest.setdefault(event.image_id, {})
        if (event.operation is Operation.REMOVE) != (Operation.REMOVE in of_image):
            of_image.clear()
        kept.pop(of_image.get(event.operation, -1), None)
        of_image[event.operation] = position
        kept[position] = event
    return list(kept.values())


class Delivery:
    """Sends batches, and halves one that the server calls wrong until the wrong event stands alone.

    :param submit: raises a GlanceSyncError unless the server has committed all of the events
    :param refused: told of each event that the server will never take
    """

    def __init__(self, *, submit: Callable[[Sequence[Event]], object],
                 refused: Callable[[Event, GlanceSyncError], None]) -> None:
        self._submit = submit
        self._refused = refused

    def deliver(self, events: Sequence[Event]) -> None:
        """Returns when each event was committed or refused; raises the GlanceSyncError that asks for another try."""
        try:
            self._submit(events)
        except ConfigurationError:
            raise
        except InvalidInputError as error:
            self._halve(events, error)

    def _halve(self, events: Sequence[Event], error: InvalidInputError) -> None:
        if len(events) > 1:
            middle = len(events) // 2
            self.deliver(events[:middle])
            self.deliver(events[middle:])
        elif events[0].operation is Operation.ALL:
            # What says that everything must be seen cannot be given up: nothing else would tell of the loss.
            raise error
        else:
            self._refused(events[0], error)
