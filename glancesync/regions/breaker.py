# SPDX-License-Identifier: Apache-2.0
"""When a region is left alone, tried and trusted again. Pure; `health` keeps one Breaker per region and calls this.

    closed ──failures in a row, Retry-After──► open ──a probe succeeds──► half_open ──successes in a row──► closed
                                               ▲  └─a probe fails: longer─┐   │
                                               └──────── any failure ─────┴───┘

A Breaker is a plain value: whoever shares it between processes stores its fields.
"""
from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from glancesync import exceptions as exc
from glancesync.conf.breaker import BreakerSettings
from glancesync.model.meaning import Explained

#: Longer than this we do not stay away on another service's word.
LONGEST_RETRY_AFTER_SECONDS = 3600.0
_MOST_DOUBLINGS = 40
_FAILURES = (exc.RegionUnavailableError, exc.RegionBusyError, exc.RegionUnauthorizedError, exc.RegionAnswerError,
             exc.TransferError)
#: What says nothing about the region's health: Keystone's word, and bytes that are wrong but did arrive.
_NO_FAILURES = (exc.KeystoneUnavailableError, exc.KeystoneRefusedError, exc.SourceCorruptError,
                exc.ReplicaUnreadableError, exc.VerificationError)


class BreakerState(Explained):
    """Whether a region is given work."""

    CLOSED = ("closed", "The region is well.", "It is given as much work as fits.", "Nothing.")
    OPEN = ("open", "The region failed again and again, or asked to be left alone.",
            "It is given no work; it is probed from time to time.", "Look at its Glance; the reason tells more.")
    HALF_OPEN = ("half_open", "A probe went well.", "It is given one task at a time until it proves to be well.",
                 "Nothing.")


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """`since` and `next_probe_at` are seconds since the epoch. `failures` are those since the last success, `successes`
    those since it is half open, `pauses` how often it was opened, or stayed so after a probe, since it was closed."""

    state: BreakerState = BreakerState.CLOSED
    since: float | None = None
    failures: int = 0
    successes: int = 0
    pauses: int = 0
    next_probe_at: float | None = None
    reason: str | None = None


class Verdict(enum.Enum):
    """What an ended call or run says about a region."""

    WELL = "well"
    FAILED = "failed"
    NOTHING = "nothing"


def judge(error: Exception | None) -> Verdict:
    """A region that refuses properly (403, 404, 409, 413) is well; one that cannot be reached, breaks off, asks to be
    left alone, refuses every token or does not speak Glance's protocol is not."""
    if error is None:
        return Verdict.WELL
    if isinstance(error, _NO_FAILURES):
        return Verdict.NOTHING
    if isinstance(error, _FAILURES):
        return Verdict.FAILED
    return Verdict.WELL if isinstance(error, exc.RegionError | exc.NotFoundError) else Verdict.NOTHING


def room(breaker: Breaker) -> int | None:
    """How many tasks may run in the region at once; None: as many as fit."""
    return {BreakerState.OPEN: 0, BreakerState.HALF_OPEN: 1}.get(breaker.state)


def is_probe_due(breaker: Breaker, now: float) -> bool:
    return breaker.next_probe_at is not None and breaker.next_probe_at <= now


def after_success(breaker: Breaker, settings: BreakerSettings, now: float, *, probe: bool = False) -> Breaker:
    """A probe, or a run, ended well. A run that began before it was opened proves nothing about now."""
    if breaker.state is BreakerState.CLOSED:
        return replace(breaker, failures=0, reason=None)
    if breaker.state is BreakerState.OPEN and not probe:
        return breaker
    successes = breaker.successes + 1
    if successes >= settings.probe_successes:
        return Breaker(since=now)
    return replace(breaker, state=BreakerState.HALF_OPEN, successes=successes,
                   since=breaker.since if breaker.state is BreakerState.HALF_OPEN else now,
                   next_probe_at=now + settings.pause_seconds)


def after_failure(breaker: Breaker, settings: BreakerSettings, now: float, *, reason: str,
                  retry_after_seconds: float | None = None, probe: bool = False) -> Breaker:
    """A probe, or a run, failed by the region's fault. `retry_after_seconds`: what the region asked for."""
    asked = min(max(retry_after_seconds or 0.0, 0.0), LONGEST_RETRY_AFTER_SECONDS)
    failed = replace(breaker, failures=breaker.failures + 1, reason=reason)
    if not settings.failures:  # also one that was opened before an operator switched breakers off
        return Breaker(failures=failed.failures, reason=reason)
    if breaker.state is BreakerState.OPEN and not probe:
        return replace(failed, next_probe_at=max(breaker.next_probe_at or now, now + asked))
    if breaker.state is BreakerState.CLOSED and failed.failures < settings.failures and not asked:
        return failed
    pauses = breaker.pauses + 1
    pause = min(settings.pause_seconds * 2.0 ** min(pauses - 1, _MOST_DOUBLINGS), settings.pause_max_seconds)
    if breaker.state is BreakerState.CLOSED and asked and failed.failures < settings.failures:
        pause = asked  # nothing is wrong with it, it is only busy
    return replace(failed, state=BreakerState.OPEN, successes=0, pauses=pauses,
                   since=breaker.since if breaker.state is BreakerState.OPEN else now,
                   next_probe_at=now + max(pause, asked))
