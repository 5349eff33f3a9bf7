# SPDX-License-Identifier: Apache-2.0
"""What one of several server processes is given by the one that starts it. Written by `children`, read by `launch`.

Each is a new program, not a fork of one that runs: no hub, thread, database handle or connection is shared. What goes
along are open descriptors, and their numbers in one variable of the environment.
"""
from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass

from glancesync.conf.server import ServerSettings
from glancesync.exceptions import ConfigurationError

VARIABLE = "GLANCE_SYNC_PLACE"


@dataclass(frozen=True, kw_only=True)
class Place:
    """`number` counts from 0; `owner` is the process's name in the queue. `listener` and `channel` are descriptors:
    the socket that all listen on, and the connection with the parent, which ends when either does. `lock` is held open
    and nothing else (None: there is none). `answers_early`: nobody else answers yet, so this one says why not."""

    number: int
    owner: str
    listener: int
    channel: int
    lock: int | None = None
    answers_early: bool = False

    @property
    def is_first(self) -> bool:
        """Whether it does what only one of them has to do."""
        return self.number == 0

    def descriptors(self) -> tuple[int, ...]:
        return tuple(each for each in (self.listener, self.channel, self.lock) if each is not None)

    def variables(self) -> dict[str, str]:
        """What the process's environment has to hold."""
        return {VARIABLE: json.dumps(asdict(self))}


def server_name(settings: ServerSettings) -> str:
    """What the server's processes are called in the queue, each with an ending of its own."""
    return f"{socket.gethostname()}:{settings.bind_port}"


def take_place(environment: MutableMapping[str, str]) -> Place | None:
    """None in a process that nobody started as one of several. Processes that this one starts get nothing of it.

    Raises ConfigurationError for a variable that no parent wrote.
    """
    text = environment.pop(VARIABLE, None)
    if text is None:
        return None
    place = _read(text)
    try:
        for descriptor in place.descriptors():
            os.set_inheritable(descriptor, False)
    except OSError as error:
        raise ConfigurationError(f"{VARIABLE} names descriptors that are not open: unset it") from error
    return place


def _read(text: str) -> Place:
    try:
        found: Mapping[str, object] = json.loads(text)
        return Place(**found)  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{VARIABLE} is set by the server itself for its processes: unset it") from error
