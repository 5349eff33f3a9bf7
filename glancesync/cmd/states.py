# SPDX-License-Identifier: Apache-2.0
"""Writes docs/states.md from the code: `python -m glancesync.cmd.states > docs/states.md`. A test compares the two."""
from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from glancesync.api.errors import HttpCode
from glancesync.exceptions import GlanceSyncError, Verdict, all_error_classes
from glancesync.model.birth import ImageFrom
from glancesync.model.deletion import DeletionCause
from glancesync.model.meaning import Explained
from glancesync.model.replica import ConflictChoice, IdReason, Origin, ReplicaState, StrangerBytes
from glancesync.model.server import ServerState
from glancesync.model.task import RunOutcome, TaskReason, TaskState, Trigger
from glancesync.regions.breaker import BreakerState
from glancesync.sync.codes import Code

_HEAD = """# States and reason codes

What the API, the log and the commands show, what it means, what happens next by itself, and what an operator can do.
This page is generated from the code (`python -m glancesync.cmd.states`).
"""
_FOLLOWS = {
    Verdict.RETRY: "Tried again with growing delays, for ever.",
    Verdict.WAIT: "Looked at again soon; no failure is counted.",
    Verdict.STOP: "Waits for an event, a comparison or an operator's retry.",
    Verdict.DROP: "The run ends without writing anything.",
}
#: Every enumeration of codes, in the order of the page.
SECTIONS: Sequence[tuple[str, type[Explained]]] = (
    ("State of an image in a region", ReplicaState),
    ("Reason codes", Code),
    ("Why a replica has another id than its image", IdReason),
    ("How a replica came to be ours", Origin),
    ("What an image was made from in its region of birth", ImageFrom),
    ("What can be chosen for a conflict", ConflictChoice),
    ("What reading an image in the way told", StrangerBytes),
    ("Why an image in a cascaded region was deleted", DeletionCause),
    ("State of a task", TaskState),
    ("Reason codes of tasks that no run gave", TaskReason),
    ("Who asked for a task", Trigger),
    ("How a run ended", RunOutcome),
    ("State of a region's breaker", BreakerState),
    ("State of a server", ServerState),
    ("What the rules of HTTP refuse", HttpCode),
)


def states_page() -> str:
    """The whole page."""
    head = ("code", "means", "next", "operator")
    parts = [_HEAD, *(_table(title, head, ((each.value, each.meaning.what, each.meaning.follows, each.meaning.advice)
                                           for each in members)) for title, members in SECTIONS)]
    parts.append(_table("Errors", ("code", "HTTP", "means", "next", "operator"), map(_error_row, error_classes())))
    return "\n".join(parts)


def error_classes() -> list[type[GlanceSyncError]]:
    """Those of the tree; a class that some module derives for itself shows its parent's code."""
    return [each for each in all_error_classes() if each.__module__ == GlanceSyncError.__module__]


def _error_row(error: type[GlanceSyncError]) -> tuple[str, ...]:
    return error.code, str(error.http_status), error.what, _FOLLOWS[error.verdict], error.advice


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"## {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| `{code}` | {' | '.join(rest)} |" for code, *rest in rows]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.stdout.write(states_page())
