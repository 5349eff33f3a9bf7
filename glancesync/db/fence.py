# SPDX-License-Identifier: Apache-2.0
"""What a run writes while it may have lost its task: nothing. The runner sets the check, `Database.run` asks it.

Each green thread has its own; what one starts has none.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import sqlalchemy as sa

Check = Callable[[sa.Connection], None]

_CHECK: ContextVar[Check | None] = ContextVar("glancesync_fence", default=None)


@contextmanager
def fenced(check: Check) -> Iterator[None]:
    """While it holds, every transaction that writes begins with the check, and what that raises ends it."""
    token = _CHECK.set(check)
    try:
        yield
    finally:
        _CHECK.reset(token)


@contextmanager
def unfenced() -> Iterator[None]:
    """While it holds there is no check: for giving back what is the caller's own, whoever has the task."""
    token = _CHECK.set(None)
    try:
        yield
    finally:
        _CHECK.reset(token)


def current() -> Check | None:
    """None outside."""
    return _CHECK.get()
