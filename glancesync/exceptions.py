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
    |-- BrokerUnavailableError            503  retry  the message broker between servers and workers does not answer
    |-- RegionError                       502  retry  what a region's services answered
    |   |-- RegionUnavailableError        503  retry  no connection, timeout, 5xx
    |   |   `-- KeystoneUnavailableError  503  retry  no token could be had, so the region was not asked
    |   |-- RegionBusyError               503  retry  429 or 503 with Retry-After
    |   |-- RegionUnauthorizedError       502  retry  401 after a fresh token
    |   |   `-- KeystoneRefusedError      502  retry  Keystone refused the service user
    |   |-- RegionForbiddenError          502  stop   403: role or policy
    |   |-- RegionRejectedError           502  stop   400 and the like: this Glance will never take it
    |   |-- RegionQuotaError              502  stop   413: size cap or quota
    |   |-- RegionFullError               502  retry  413: no room is left in the store
    |   |-- RegionConflictError           502  retry  409: state or id
    |   |   |-- IdBurnedError             502  retry  409 on create though no image has the id
    |   |   `-- ReplicaTakenError         502  retry  the replica is another image's by now
    |   `-- RegionAnswerError             502  retry  not what the protocol allows
    |       `-- VersionNotSpokenError     502  retry  the sync server and its client have no API version in common
    |-- TransferError                     502  retry  bytes did not arrive
    |   |-- TransferStalledError               retry  the target took no byte for too long
    |   |-- SourceReadError                    retry  the source stopped in the middle
    |   |-- SourceCorruptError                 stop   the source's bytes do not match its own hash
    |   |-- ReplicaUnreadableError             retry  a scrub could not read the stored bytes to their end
    |   |-- VerificationError                  retry  the target computed another size or hash
    |   `-- StoreCopyError                     retry  the way past the Glances did not lead to the target
    |       |-- StoreUnreachableError          retry  no connection to a store's host
    |       |-- StoreLoginError                retry  its host refuses the key or password
    |       |-- StoreHostKeyError              retry  its host shows an unknown or another key
    |       |-- StoreSourceMissingError        retry  the source's file is not there
    |       |-- StoreFullError                 retry  no room on the target's disk
    |       |-- StoreWriteError                retry  the account may not write there
    |       |-- StoreShortCopyError            retry  fewer bytes, or more, than the image has
    |       |-- StoreCorruptCopyError          retry  other bytes arrived than the image's
    |       |-- StoreCutError                  retry  the connection broke
    |       |-- StoreOccupiedError             retry  another's file has the image's name in the target's folder
    |       |-- StoreTimeoutError              retry  it took longer than scp_copy_timeout_seconds
    |       `-- StoreRegistrationError         retry  the target's Glance did not take the file
    |-- SnapshotError                     502  stop   an image cannot get the bytes of the snapshot that it is to be
    |   |-- SnapshotTimeoutError               stop   the snapshot did not become active in time
    |   `-- SnapshotRefusedError               stop   the snapshot is not one of this image
    |-- WaitError                         503  wait   nothing is wrong, it is only too early
    |   |-- SourceNotReadyError                wait   queued, saving, importing
    |   |-- ReplicaSavingError                 wait   the replica is in `saving`
    |   |-- RegionPausedError                  wait   the region's breaker is open
    |   |   `-- RegionFrozenError              wait   an operator froze the region
    |   |-- NoWayError                         wait   no driver that may fill the region can
    |   |-- SourcesBusyError                   wait   every source is read by as many copies as it may be
    |   |-- SourceUntrustedError               wait   the cascading Glance is not known to be itself
    |   |-- OwnerRegionsUnknownError           wait   Keystone does not tell which regions an image's owner may use
    |   |-- DeletionHeldError                  wait   the brake holds, or the source is not believed
    |   |-- RegionNotSeenWholeError            wait   a cascaded region does not show us everything
    |   `-- NewIdsHeldError                    wait   too many replicas of a region took a new id
    `-- RunStoppedError                   409  drop   the run must end without writing anything
        |-- LeaseLostError                     drop
        `-- TaskCancelledError                 drop

`code` is stable and is what API, logs, metrics and docs/states.md show; `what` says there what it means and `advice`
what the operator can do. `http_status` is what the API answers when the error ends a request. `verdict` is what the
worker does when the error ends a run.
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
    what = "Nobody foresaw this; the log has the traceback."
    advice = "Report it with the traceback."
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
    what = "A request, file or value is wrong; the message names the field."
    advice = "Correct the request."
    http_status = 400
    verdict = Verdict.STOP


class BodyTooLargeError(InvalidInputError):
    code = "body_too_large"
    what = "A request's body is over max_body_bytes."
    advice = "Send less at once."
    http_status = 413


class ConfigurationError(InvalidInputError):
    code = "configuration"
    what = "An option, section or file is wrong; the start is refused."
    advice = "Correct what the message names."
    http_status = 500


class NotFoundError(GlanceSyncError):
    code = "not_found"
    what = "The thing that was asked for is not there, or not for this caller."
    advice = "Correct the request."
    http_status = 404
    verdict = Verdict.STOP


class ImageNotFoundError(NotFoundError):
    code = "image_not_found"
    what = "No such image is known, or Glance itself says that it is not there."
    advice = "Nothing."


class MemberNotFoundError(NotFoundError):
    code = "member_not_found"
    what = "The image has no such member."
    advice = "Nothing."


class RegionNotFoundError(NotFoundError):
    code = "region_not_found"
    what = "Keystone's catalog has no such region."
    advice = "Use one of those that the message lists."


class TaskNotFoundError(NotFoundError):
    code = "task_not_found"
    what = "No such task is known, or its history was purged."
    advice = "Correct the request."


class ForbiddenError(GlanceSyncError):
    code = "forbidden"
    what = "The caller's roles do not allow it."
    advice = "See etc/policy.yaml.sample."
    http_status = 403
    verdict = Verdict.STOP


class StateConflictError(GlanceSyncError):
    code = "state_conflict"
    what = "The thing is in no state for this."
    advice = "Look at its state, then ask again."
    http_status = 409
    verdict = Verdict.STOP


class NotReadyError(GlanceSyncError):
    code = "not_ready"
    what = "The database or Keystone does not answer this server."
    advice = "Bring back what the message names."
    http_status = 503


class BrokerUnavailableError(GlanceSyncError):
    code = "broker_unavailable"
    what = "The message broker of [celery] does not take messages; what is asked for waits in the database."
    advice = "Bring the broker back; nothing has to be asked for again."
    http_status = 503


class RegionError(GlanceSyncError):
    code = "region_error"
    what = "A region answered in a way that has no class of its own."
    advice = "Look at the region's Glance and its log; the message names the call and the request id."
    http_status = 502


class RegionUnavailableError(RegionError):
    code = "region_unavailable"
    what = "No connection, a time-out, or an answer of 5xx."
    advice = "Look at the region's Glance and its log; the message names the call and the request id."
    http_status = 503


class KeystoneUnavailableError(RegionUnavailableError):
    code = "keystone_unavailable"
    what = "No token could be had from Keystone, so the region was not asked."
    advice = "Look at Keystone and its log."


class RegionBusyError(RegionError):
    code = "region_busy"
    what = "The region asked to be left alone for a while."
    advice = "Look at the region's Glance and its log; the message names the call and the request id."
    http_status = 503


class RegionUnauthorizedError(RegionError):
    code = "region_unauthorized"
    what = "The region refuses a fresh token."
    advice = "Check [keystone_authtoken] of that Glance."


class KeystoneRefusedError(RegionUnauthorizedError):
    code = "keystone_refused"
    what = "Keystone refuses the service user."
    advice = "Check the credentials under [keystone]."


class RegionForbiddenError(RegionError):
    code = "region_forbidden"
    what = "The region's policy refuses the service user."
    advice = "Give it the role admin in that region."
    verdict = Verdict.STOP


class RegionRejectedError(RegionError):
    code = "region_rejected"
    what = "The region's Glance will never take this: a format, a property, a value."
    advice = "Change the image, or what that Glance allows."
    verdict = Verdict.STOP


class RegionQuotaError(RegionError):
    code = "region_quota"
    what = "The region's size cap or quota refuses the image."
    advice = "Raise it, or leave the image out."
    verdict = Verdict.STOP


class RegionFullError(RegionError):
    code = "region_full"
    what = "No room is left in the region's store; the image is queued there again."
    advice = "Make room; it goes on by itself."


class RegionConflictError(RegionError):
    code = "region_conflict"
    what = "The region's image is in a state that refuses this now."
    advice = "Nothing."


class IdBurnedError(RegionConflictError):
    code = "id_burned"
    what = "Glance refuses the id although no image has it: it was deleted there."
    advice = "Nothing."


class ReplicaTakenError(RegionConflictError):
    code = "replica_taken"
    what = "Another image has this replica by now; it is decided anew what this one gets."
    advice = "Nothing."


class RegionAnswerError(RegionError):
    code = "region_bad_answer"
    what = "The region answered with something that is not Glance's protocol."
    advice = "Look for a proxy or a wrong endpoint between."


class VersionNotSpokenError(RegionAnswerError):
    """`spoken`: the lowest and the highest version that the other side named, where it did."""

    code = "version_not_spoken"
    what = "The sync server and its client have no version of the API in common."
    advice = "Bring the older of the two to the other's release; what waits to be delivered waits until then."
    spoken: tuple[str, str] | None = None


class TransferError(GlanceSyncError):
    code = "transfer_failed"
    what = "Bytes broke off on the way."
    advice = "Look at the region's Glance and its log; the message names the call and the request id."
    http_status = 502


class TransferStalledError(TransferError):
    code = "transfer_stalled"
    what = "The target took no byte for tee_stall_seconds while others waited."
    advice = "Look at the region's Glance and its log; the message names the call and the request id."


class SourceReadError(TransferError):
    code = "source_read_failed"
    what = "The source stopped in the middle of its bytes."
    advice = "Look at the region's Glance and its log; the message names the call and the request id."


class SourceCorruptError(TransferError):
    code = "source_corrupt"
    what = "The source's bytes do not match its own hash; no region gets them."
    advice = "Upload the image anew, and look at the cascading region's store."
    verdict = Verdict.STOP


class ReplicaUnreadableError(TransferError):
    code = "replica_unreadable"
    what = "The stored bytes of a verified replica cannot be read in its region."
    advice = "Look at that region's store."


class VerificationError(TransferError):
    code = "verification_failed"
    what = "The target computed another size or hash than was sent; the replica is replaced."
    advice = "Look at the network between if it comes again."


class StoreCopyError(TransferError):
    code = "store_copy_failed"
    what = "The bytes could not be copied from store to store; they go through the Glances."
    advice = "Run `glance-sync-manage store check`."


class StoreUnreachableError(StoreCopyError):
    code = "store_unreachable"
    what = "No ssh connection to the host of a store."
    advice = "Look at the host, its sshd and the network; `glance-sync-manage store check` tries it."


class StoreLoginError(StoreCopyError):
    code = "store_login_refused"
    what = "The host of a store refuses the key or the password."
    advice = "Correct login_user, key_file or the password in glance_store.yaml."


class StoreHostKeyError(StoreCopyError):
    code = "store_host_key"
    what = "The host of a store shows a key that is not the one in known_hosts_file; nothing was sent to it."
    advice = "Find out why; only if the host was set up anew put its key into known_hosts_file."


class StoreSourceMissingError(StoreCopyError):
    code = "store_source_missing"
    what = "The image's file is not in the source's folder, or may not be read there."
    advice = "Look at datadir and login_user of the source in glance_store.yaml."


class StoreFullError(StoreCopyError):
    code = "store_full"
    what = "No room is left on the disk of the target's store."
    advice = "Make room."


class StoreWriteError(StoreCopyError):
    code = "store_write_refused"
    what = "The account may not write to the target's folder, or not give its files the owner that Glance needs."
    advice = "Log in as the user that runs Glance there."


class StoreShortCopyError(StoreCopyError):
    code = "store_short_copy"
    what = "The file that arrived has another size than the image; it was removed."
    advice = "Look at the source's file and the network if it comes again."


class StoreCorruptCopyError(StoreCopyError):
    code = "store_corrupt_copy"
    what = "The file that arrived has another hash than the image; it was removed."
    advice = "Look at the source's file and the target's disk if it comes again."


class StoreCutError(StoreCopyError):
    code = "store_connection_cut"
    what = "An ssh connection to the host of a store broke in the middle."
    advice = "Look at the network and the host's sshd if it comes again."


class StoreOccupiedError(StoreCopyError):
    code = "store_occupied"
    what = "In the target's folder a file has the image's name that was not put there for it; it was left alone."
    advice = "Find out whose it is: two regions must not keep their images in one folder, under whatever names."


class StoreTimeoutError(StoreCopyError):
    code = "store_timeout"
    what = "A copy from store to store took longer than scp_copy_timeout_seconds; it was ended."
    advice = "Raise it if the links are that slow."


class StoreRegistrationError(StoreCopyError):
    code = "store_not_registered"
    what = "The target's Glance did not take the file for the image's bytes; the file was removed."
    advice = "Put the store filter into that Glance, and give its role to the service user (docs/stores.md)."


class StoreImportError(StoreCopyError):
    code = "store_import_failed"
    what = "The target's Glance could not import the image from the source's Glance; the image is queued again."
    advice = ("Read that Glance's log: whether it reaches the source's endpoint, and whether allowed_hosts and "
              "allowed_ports under [import_filtering_opts] let it.")


class StoreImportRefusedError(StoreImportError):
    code = "store_import_refused"
    what = "The target's Glance does not take the order to import the image."
    advice = "Put glance-download into its enabled_import_methods, and see its policy and quotas."


class SnapshotError(GlanceSyncError):
    code = "snapshot_failed"
    what = "The image cannot get the bytes of the snapshot that it is to be."
    advice = "Read the reason, remove its cause, retry the task."
    http_status = 502
    verdict = Verdict.STOP


class SnapshotTimeoutError(SnapshotError):
    code = "snapshot_timeout"
    what = "The snapshot did not become active in its region within snapshot_timeout_seconds."
    advice = "Look at the image in that region; retry the task to wait once more."


class SnapshotRefusedError(SnapshotError):
    code = "snapshot_refused"
    what = "The image that was named as the snapshot has another owner or another format than the image."
    advice = "Name the right image, or delete this one."


class WaitError(GlanceSyncError):
    code = "waiting"
    what = "It is only too early."
    advice = "Nothing."
    http_status = 503
    verdict = Verdict.WAIT


class SourceNotReadyError(WaitError):
    code = "source_not_ready"
    what = "The image is still queued, saving or importing."
    advice = "Nothing."


class ReplicaSavingError(WaitError):
    code = "replica_saving"
    what = "The replica is in `saving`."
    advice = "Nothing."


class RegionPausedError(WaitError):
    code = "region_paused"
    what = "The region, or the cascading one, failed again and again or asked to be left alone: its breaker is open."
    advice = "Look at the region's breaker in GET /v1/regions, and at its Glance."


class RegionFrozenError(RegionPausedError):
    code = "region_frozen"
    what = "An operator froze the region: nothing is written there, its tasks wait."
    advice = "When its maintenance is over run `openstack image sync region thaw NAME`."


class NoWayError(WaitError):
    code = "no_way"
    what = "No driver that may fill the region can take the image's bytes there, and `stream` is none of them."
    advice = "`glance-sync-manage store explain IMAGE REGION` tells why; see drivers in glance_store.yaml and [stores]."


class SourcesBusyError(WaitError):
    code = "sources_busy"
    what = "Every region that holds the image is being read by as many copies as `[transfer] max_reads_per_source`."
    advice = "Nothing: it goes on as soon as one of them ends, or another region has the image."


class SourceUntrustedError(WaitError):
    code = "source_untrusted"
    what = "The cascading Glance is not believed now, so nothing is written on its word."
    advice = "Check it, then run `glance-sync-manage source accept`."


class OwnerRegionsUnknownError(WaitError):
    code = "owner_regions_unknown"
    what = ("Keystone does not tell which regions the project may use that owns the image. Nothing new is copied; a "
            "replica that is there goes on following its image.")
    advice = "Look at Keystone, and whether the service user has its admin role there."


class DeletionHeldError(WaitError):
    code = "deletions_held"
    what = "The brake holds, or the cascading Glance is not believed."
    advice = "Look at GET /v1/deletions, then run `glance-sync-manage deletion release`."


class RegionNotSeenWholeError(WaitError):
    code = "region_not_seen_whole"
    what = ("The region refuses the service user what only an admin may see or do, or does not show it; nothing is "
            "made there.")
    advice = "Give the service user its admin role back, or mend that Glance's policy."


class NewIdsHeldError(WaitError):
    code = "new_ids_held"
    what = ("Within the window max_new_ids replicas of the region took a new id because theirs were used up; nothing "
            "more is made under a new id there.")
    advice = "Find out who deletes replicas there, then run `glance-sync-manage region release NAME`."


class RunStoppedError(GlanceSyncError):
    code = "run_stopped"
    what = "The run had to end."
    advice = "Nothing."
    http_status = 409
    verdict = Verdict.DROP


class LeaseLostError(RunStoppedError):
    code = "lease_lost"
    what = "Another server has the task now."
    advice = "Nothing."


class TaskCancelledError(RunStoppedError):
    code = "cancelled"
    what = "An operator cancelled the task."
    advice = "POST /v1/tasks/{id}/retry."


def all_error_classes() -> list[type[GlanceSyncError]]:
    """Every class of the tree, parents first (for the generated documentation and its test)."""
    found: list[type[GlanceSyncError]] = [GlanceSyncError]
    for cls in found:
        found.extend(cls.__subclasses__())
    return found
