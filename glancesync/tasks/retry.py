# SPDX-License-Identifier: Apache-2.0
"""When a task that ended in an error runs again. Pure; used by the queue."""
from __future__ import annotations

from glancesync.conf.worker import WorkerSettings
from glancesync.exceptions import Verdict

#: Longer than this we do not stay away on another service's word.
LONGEST_RETRY_AFTER_SECONDS = 3600
_MOST_DOUBLINGS = 40


def plan_retry(error_verdict: Verdict, attempts: int, settings: WorkerSettings, random_value: float,
               retry_after: float | None = None) -> float | None:
    """Seconds until the next run, or None for never (until somebody asks).

    :param attempts: failures since the last success, this one included
    :param random_value: 0 to 1; spreads the delay over its upper half, so that what failed together comes back apart
    :param retry_after: the seconds that the other side asked for
    """
    asked = min(max(retry_after or 0, 0), LONGEST_RETRY_AFTER_SECONDS)
    if error_verdict is Verdict.WAIT:
        return max(settings.wait_seconds, asked)
    if error_verdict is not Verdict.RETRY:
        return None
    doublings = min(max(attempts - 1, 0), _MOST_DOUBLINGS)
    delay = min(settings.backoff_initial_seconds * 2.0 ** doublings, settings.backoff_max_seconds)
    return max(delay * (0.5 + random_value / 2), asked)
