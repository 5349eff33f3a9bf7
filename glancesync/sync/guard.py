# SPDX-License-Identifier: Apache-2.0
"""Whether a replica whose image is gone may be deleted (pure). Called by plan; the facts come from trust and records.

    proof      a removal that Glance reported, or missing in two comparisons far enough apart
    trust      the cascading Glance is the one we know, and shows what only an admin can see
    brake      not too many deletions within the window; once it holds, it holds until an operator releases it
"""
from __future__ import annotations

from dataclasses import dataclass

from glancesync.model.replica import Origin, Removal, ReplicaRecord
from glancesync.sync.codes import Code


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What is known of the cascading Glance and the brake at the moment of the decision. `problem` is why it is not
    believed now (None: it is); `latch` why the brake holds (None: it does not). Both are sentences with the next
    step."""

    problem_code: str | None = None
    problem: str | None = None
    latch: str | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`allowed`, or why not: the state's code and a sentence."""

    allowed: bool
    code: str
    reason: str


def judge_deletion(*, removal: Removal | None, record: ReplicaRecord | None, trust: Trust,
                   delete_adopted: bool) -> Verdict:
    """The cascading Glance answered 404 for the image just now; may the replica that is ours go?"""
    if removal is None and (record is None or record.missing_confirmed_at is None):
        return Verdict(allowed=False, code=Code.SOURCE_MISSING,
                       reason="the cascading Glance does not show the image, but did not report its removal; it is "
                              "deleted when two comparisons far enough apart miss it")
    if record is not None and record.origin is Origin.ADOPTED and not delete_adopted:
        return Verdict(allowed=False, code=Code.ADOPTED_KEPT,
                       reason="the image is gone; its replica was here before this server and is kept "
                              "(delete_adopted is off)")
    if trust.problem is not None:
        return Verdict(allowed=False, code=trust.problem_code or Code.SOURCE_UNTRUSTED, reason=trust.problem)
    if trust.latch is not None:
        return Verdict(allowed=False, code=Code.DELETIONS_HELD, reason=trust.latch)
    return Verdict(allowed=True, code=Code.DELETING,
                   reason="the image was deleted" if removal else "the image is gone: two comparisons missed it")


def fell_too_far(before: int | None, now: int, percent: int) -> bool:
    """Whether a number of images fell from one comparison to the next so far that the source is not believed. Falls of
    up to ten images are a person's doing in a small cloud."""
    if before is None or before - now <= 10:
        return False
    return (before - now) * 100 > before * percent
