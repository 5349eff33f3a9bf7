# SPDX-License-Identifier: Apache-2.0
"""The whole error tree.

    GlanceSyncError
    |-- InvalidInputError                 400  stop   the caller's mistake
    |   |-- BodyTooLargeError             413  stop
    |   `-- ConfigurationError            500  stop   an option or file is wrong; the start is refused
    |-- NotFoundError                     404  stop
    |   |-- ImageNotFoundError
    |   |-- MemberNotFoundError
    |   |-- RegionNotFoundError
    |   `-- TaskNotFoundError
    |-- ForbiddenError                    403  stop
    |-- StateConflictError                409  stop   the thing exists but is in no state for this
    |-- NotReadyError                     503  retry  this server cannot answer yet (no catalog, no database)
    |-- RegionError                       502  retry  what a region's services answered
    |   |-- RegionUnavailableError        503  retry  no connection, timeout, 5xx
    |   |   `-- KeystoneUnavailableError  503  retry  no token could be had, so the region was not asked
    |   |-- RegionBusyError               503  retry  429 or 503 with Retry-After
    |   |-- RegionUnauthorizedError       502  retry  401 after a fresh token
    |   |   `-- KeystoneRefusedError      502  retry  Keystone refused the service user
    |   |-- RegionForbiddenError          502  stop   403: role or policy
    |   |-- RegionRejectedError           502  stop   400 and the like: this Glance will never take it
    |   |-- RegionQuotaError              502  stop   413: size cap or quota
    |   |-- RegionConflictError           502  retry  409: state or id
    |   |   |-- IdBurnedError             502  retry  409 on create though no image has the id
    |   |   `-- ReplicaTakenError         502  retry  the replica is another image's by now
    |   `-- RegionAnswerError             502  retry  not what the protocol allows
    |-- TransferError                     502  retry  bytes did not arrive
    |   |-- TransferStalledError               retry  the target took no byte for too long
    |   |-- SourceReadError                    retry  the source stopped in the middle
    |   |-- SourceCorruptError                 stop   the source's bytes do not match its own hash
    |   |-- ReplicaUnreadableError             retry  a scrub could not read the stored bytes to their end
    |   `-- VerificationError                  retry  the target computed another size or hash
    |-- WaitError                         503  wait   nothing is wrong, it is only too early
    |   |-- SourceNotReadyError                wait   queued, saving, importing
    |   |-- ReplicaSavingError                 wait   the replica is in `saving`
    |   |-- RegionPausedError                  wait   the region's breaker is open
    |   |-- SourceUntrustedError               wait   the cascading Glance is not known to be itself
    |   |-- DeletionHeldError                  wait   the brake holds, or the source is not believed
    |   |-- RegionNotSeenWholeError            wait   a cascaded region does not show us everything
    |   `-- NewIdsHeldError                    wait   too many replicas of a region took a new id
    `-- RunStoppedError                   409  drop   the run must end without writing anything
        |-- LeaseLostError                     drop
        `-- TaskCancelledError                 drop

`code` is stable and is what API, logs, metrics and docs/states.md show. `http_status` is what the API answers when
the error ends a request. `verdict` is what the worker does when the error ends a run.
"""
from __future__ import annotations

import enum


class Verdict(enum.Enum):
    """What the worker does with a task whose run ended in an error."""

    RETRY = "retry"   # again after a growing delay, for ever
    WAIT = "wait"     # look again soon; no failure is counted
    STOP = "stop"     # keep the reason; a new event, reconcile or an operator starts it again
    DROP = "drop"     # write nothing: somebody else owns the row now, or it was cancelled


class GlanceSyncError(Exception):
    """Base of every error that this package raises on purpose.

    :param message: one sentence for a person: the thing, the cause, the next step. Never a secret or token.
    :param retry_after_seconds: what the other side asked for, where it did
    :param request_id: the request id of the service that refused, where known
    :param region: the region whose service is to blame, where known
    """

    code = "internal_error"
    http_status = 500
    verdict = Verdict.RETRY

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, request_id: str | None = None,
                 region: str | None = None):
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        self.request_id = request_id
        self.region = region

    def __str__(self) -> str:
        return self.message


class InvalidInputError(GlanceSyncError):
    code = "invalid_input"
    http_status = 400
    verdict = Verdict.STOP


class BodyTooLargeError(InvalidInputError):
    code = "body_too_large"
    http_status = 413


class ConfigurationError(InvalidInputError):
    code = "configuration"
    http_status = 500


class NotFoundError(GlanceSyncError):
    code = "not_found"
    http_status = 404
    verdict = Verdict.STOP


class ImageNotFoundError(NotFoundError):
    code = "image_not_found"


class MemberNotFoundError(NotFoundError):
    code = "member_not_found"


class RegionNotFoundError(NotFoundError):
    code = "region_not_found"


class TaskNotFoundError(NotFoundError):
    code = "task_not_found"


class ForbiddenError(GlanceSyncError):
    code = "forbidden"
    http_status = 403
    verdict = Verdict.STOP


class StateConflictError(GlanceSyncError):
    code = "state_conflict"
    http_status = 409
    verdict = Verdict.STOP


class NotReadyError(GlanceSyncError):
    code = "not_ready"
    http_status = 503


class RegionError(GlanceSyncError):
    code = "region_error"
    http_status = 502


class RegionUnavailableError(RegionError):
    code = "region_unavailable"
    http_status = 503


class KeystoneUnavailableError(RegionUnavailableError):
    code = "keystone_unavailable"


class RegionBusyError(RegionError):
    code = "region_busy"
    http_status = 503


class RegionUnauthorizedError(RegionError):
    code = "region_unauthorized"


class KeystoneRefusedError(RegionUnauthorizedError):
    code = "keystone_refused"


class RegionForbiddenError(RegionError):
    code = "region_forbidden"
    verdict = Verdict.STOP


class RegionRejectedError(RegionError):
    code = "region_rejected"
    verdict = Verdict.STOP


class RegionQuotaError(RegionError):
    code = "region_quota"
    verdict = Verdict.STOP


class RegionConflictError(RegionError):
    code = "region_conflict"


class IdBurnedError(RegionConflictError):
    code = "id_burned"


class ReplicaTakenError(RegionConflictError):
    code = "replica_taken"


class RegionAnswerError(RegionError):
    code = "region_bad_answer"


class TransferError(GlanceSyncError):
    code = "transfer_failed"
    http_status = 502


class TransferStalledError(TransferError):
    code = "transfer_stalled"


class SourceReadError(TransferError):
    code = "source_read_failed"


class SourceCorruptError(TransferError):
    code = "source_corrupt"
    verdict = Verdict.STOP


class ReplicaUnreadableError(TransferError):
    code = "replica_unreadable"


class VerificationError(TransferError):
    code = "verification_failed"


class WaitError(GlanceSyncError):
    code = "waiting"
    http_status = 503
    verdict = Verdict.WAIT


class SourceNotReadyError(WaitError):
    code = "source_not_ready"


class ReplicaSavingError(WaitError):
    code = "replica_saving"


class RegionPausedError(WaitError):
    code = "region_paused"


class SourceUntrustedError(WaitError):
    code = "source_untrusted"


class DeletionHeldError(WaitError):
    code = "deletions_held"


class RegionNotSeenWholeError(WaitError):
    code = "region_not_seen_whole"


class NewIdsHeldError(WaitError):
    code = "new_ids_held"


class RunStoppedError(GlanceSyncError):
    code = "run_stopped"
    http_status = 409
    verdict = Verdict.DROP


class LeaseLostError(RunStoppedError):
    code = "lease_lost"


class TaskCancelledError(RunStoppedError):
    code = "cancelled"


def all_error_classes() -> list[type[GlanceSyncError]]:
    """Every class of the tree, parents first (for the generated documentation and its test)."""
    found: list[type[GlanceSyncError]] = [GlanceSyncError]
    for cls in found:
        found.extend(cls.__subclasses__())
    return found
