# SPDX-License-Identifier: Apache-2.0
"""What the running piece of work is about, so that each line it logs can say so, however deep it is logged.

Set by the runner around a run; read by the log's border (cmd.logs). Each green thread has its own.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_ABOUT: ContextVar[Mapping[str, str]] = ContextVar("glancesync_about")


@contextmanager
def about(**names: str | None) -> Iterator[None]:
    """While it holds, `current()` gives these names beside those from around it; None is left out."""
    token = _ABOUT.set({**current(), **{name: value for name, value in names.items() if value is not None}})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def current() -> Mapping[str, str]:
    """Name to id; empty outside."""
    return _ABOUT.get({})
