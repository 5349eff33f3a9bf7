# SPDX-License-Identifier: Apache-2.0
"""Writes docs/states.md from the code: `python -m glancesync.cmd.states > docs/states.md`. A test compares the two."""
from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from glancesync.exceptions import GlanceSyncError, Verdict, all_error_classes
from glancesync.model.meaning import Explained
from glancesync.model.replica import ConflictChoice, IdReason, ReplicaState
from glancesync.model.task import TaskState
from glancesync.sync.codes import Code

_NOTHING = "Nothing."
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
_TASKS = {
    TaskState.WAITING: ("It is due now, or at its next try.", "A server claims it when it has room.", _NOTHING),
    TaskState.RUNNING: ("A server works on it and keeps its lease.", "It ends; a request meanwhile makes it run once "
                        "more.", "POST /v1/tasks/{id}/cancel ends it."),
    TaskState.DONE: ("The last run ended well.", "The next request makes it wait again.", _NOTHING),
    TaskState.FAILED: ("The last run ended in an error that does not pass by itself.",
                       "The next event, comparison or retry makes it wait again.",
                       "Remove the cause, then POST /v1/tasks/{id}/retry."),
    TaskState.CANCELLED: ("An operator cancelled it.", "The next request makes it wait again.",
                          "POST /v1/tasks/{id}/retry."),
}
_CALLER = "Correct the request."
_LOOK = "Look at the region's Glance and its log; the message names the call and the request id."
#: Code to what it means and what the operator can do; what follows is its verdict's.
_ERRORS = {
    "internal_error": ("Nobody foresaw this; the log has the traceback.", "Report it with the traceback."),
    "invalid_input": ("A request, file or value is wrong; the message names the field.", _CALLER),
    "body_too_large": ("A request's body is over max_body_bytes.", "Send less at once."),
    "configuration": ("An option, section or file is wrong; the start is refused.", "Correct what the message names."),
    "not_found": ("The thing that was asked for is not there, or not for this caller.", _CALLER),
    "image_not_found": ("No such image is known, or Glance itself says that it is not there.", _NOTHING),
    "member_not_found": ("The image has no such member.", _NOTHING),
    "region_not_found": ("Keystone's catalog has no such region.", "Use one of those that the message lists."),
    "task_not_found": ("No such task is known, or its history was purged.", _CALLER),
    "forbidden": ("The caller's roles do not allow it.", "See etc/policy.yaml.sample."),
    "state_conflict": ("The thing is in no state for this.", "Look at its state, then ask again."),
    "not_ready": ("The database or Keystone does not answer this server.", "Bring back what the message names."),
    "region_error": ("A region answered in a way that has no class of its own.", _LOOK),
    "region_unavailable": ("No connection, a time-out, or an answer of 5xx.", _LOOK),
    "keystone_unavailable": ("No token could be had from Keystone, so the region was not asked.",
                             "Look at Keystone and its log."),
    "region_busy": ("The region asked to be left alone for a while.", _LOOK),
    "region_unauthorized": ("The region refuses a fresh token.", "Check [keystone_authtoken] of that Glance."),
    "keystone_refused": ("Keystone refuses the service user.", "Check the credentials under [keystone]."),
    "region_forbidden": ("The region's policy refuses the service user.", "Give it the role admin in that region."),
    "region_rejected": ("The region's Glance will never take this: a format, a property, a value.",
                        "Change the image, or what that Glance allows."),
    "region_quota": ("The region's size cap or quota refuses the image.", "Raise it, or leave the image out."),
    "region_conflict": ("The region's image is in a state that refuses this now.", _NOTHING),
    "id_burned": ("Glance refuses the id although no image has it: it was deleted there.", _NOTHING),
    "replica_taken": ("Another image has this replica by now; it is decided anew what this one gets.", _NOTHING),
    "region_bad_answer": ("The region answered with something that is not Glance's protocol.",
                          "Look for a proxy or a wrong endpoint between."),
    "transfer_failed": ("Bytes broke off on the way.", _LOOK),
    "transfer_stalled": ("The target took no byte for tee_stall_seconds while others waited.", _LOOK),
    "source_read_failed": ("The source stopped in the middle of its bytes.", _LOOK),
    "source_corrupt": ("The source's bytes do not match its own hash; no region gets them.",
                       "Upload the image anew, and look at the cascading region's store."),
    "replica_unreadable": ("The stored bytes of a verified replica cannot be read in its region.",
                           "Look at that region's store."),
    "verification_failed": ("The target computed another size or hash than was sent; the replica is replaced.",
                            "Look at the network between if it comes again."),
    "waiting": ("It is only too early.", _NOTHING),
    "source_not_ready": ("The image is still queued, saving or importing.", _NOTHING),
    "replica_saving": ("The replica is in `saving`.", _NOTHING),
    "region_paused": ("The region, or the cascading one, failed again and again or asked to be left alone: its breaker "
                      "is open.", "Look at the region's breaker in GET /v1/regions, and at its Glance."),
    "source_untrusted": ("The cascading Glance is not believed now, so nothing is written on its word.",
                         "Check it, then run `glance-sync-manage source accept`."),
    "region_not_seen_whole": ("The region refuses the service user what only an admin may see or do, or does not show "
                              "it; nothing is made there.", "Give the service user its admin role back, or mend that "
                              "Glance's policy."),
    "new_ids_held": ("Within the window max_new_ids replicas of the region took a new id because theirs were used up; "
                     "nothing more is made under a new id there.", "Find out who deletes replicas there, then run "
                     "`glance-sync-manage region release NAME`."),
    "deletions_held": ("The brake holds, or the cascading Glance is not believed.",
                       "Look at GET /v1/deletions, then run `glance-sync-manage deletion release`."),
    "run_stopped": ("The run had to end.", _NOTHING),
    "lease_lost": ("Another server has the task now.", _NOTHING),
    "cancelled": ("An operator cancelled the task.", "POST /v1/tasks/{id}/retry."),
}


def states_page() -> str:
    """The whole page. Raises KeyError for a task state or an error class without its text."""
    explained: list[tuple[str, type[Explained]]] = [
        ("State of an image in a region", ReplicaState), ("Reason codes", Code),
        ("Why a replica has another id than its image", IdReason),
        ("What can be chosen for a conflict", ConflictChoice)]
    parts = [_HEAD]
    for title, members in explained:
        parts.append(_table(title, ("code", "means", "next", "operator"), (
            (each.value, each.meaning.what, each.meaning.follows, each.meaning.advice) for each in members)))
    parts.append(_table("State of a task", ("code", "means", "next", "operator"), (
        (state.value, *_TASKS[state]) for state in TaskState)))
    parts.append(_table("Errors", ("code", "HTTP", "means", "next", "operator"), map(_error_row, error_classes())))
    return "\n".join(parts)


def error_classes() -> list[type[GlanceSyncError]]:
    """Those of the tree; a class that some module derives for itself shows its parent's code."""
    return [each for each in all_error_classes() if each.__module__ == GlanceSyncError.__module__]


def _error_row(error: type[GlanceSyncError]) -> tuple[str, ...]:
    what, advice = _ERRORS[error.code]
    return error.code, str(error.http_status), what, _FOLLOWS[error.verdict], advice


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"## {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| `{code}` | {' | '.join(rest)} |" for code, *rest in rows]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.stdout.write(states_page())
