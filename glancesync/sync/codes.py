# SPDX-License-Identifier: Apache-2.0
"""The reason codes of plans, each with its text. Used by plan, stranger and guard; shown by API, logs and docs."""
from __future__ import annotations

from glancesync.model.meaning import Explained

_NOTHING = "Nothing."
_ACCEPT = "Check the cascading Glance, then run `glance-sync-manage source accept`."
_HELD = "Every replica stays. It is looked at again in each comparison."


class Code(Explained):
    """Why a pair of image and region stands where it stands, where no error ended its run."""

    IN_SYNC = ("in_sync", "Same as the image, bytes verified.", "It is looked at after each change.", _NOTHING)
    CREATING = ("creating", "The region has no copy of the image.",
                "One is made: private, hidden and under the service project until its bytes are verified.", _NOTHING)
    COPYING = ("copying", "The replica is there and has no bytes yet.", "It is filled and verified.", _NOTHING)
    UPDATING = ("updating", "Metadata, members or status differ.", "They are made the image's own.", _NOTHING)
    VERIFYING = ("verifying", "The two hashes cannot be compared, or one may be a client's claim.",
                 "The bytes are read and hashed.", _NOTHING)
    SCRUBBING = ("scrubbing", "The stored bytes are to be read and hashed again.", "They are.", _NOTHING)
    REPLACING = ("replacing", "An operator chose to replace the image in the way; the verified replica is ready.",
                 "The other image is deleted, then the replica is handed over.", _NOTHING)
    ADOPTING = ("adopting", "The same image was in the region before.", "It is kept in sync from now on.", _NOTHING)
    MAKING_WAY = ("making_way", "An operator chose to have the image beside, or instead of, the one in the way.",
                  "It is made under a new id.", _NOTHING)
    SOURCE_NOT_READY = ("source_not_ready", "The image itself is still queued, saving or importing.",
                        "It is looked at again, the more rarely the longer it takes.", _NOTHING)
    REPLICA_SAVING = ("replica_saving", "Another upload works on the replica, or died there.",
                      "After replica_saving_timeout_seconds it is replaced under a new id.", _NOTHING)
    TRANSIENT = ("transient", "The image carries the property that transient_property names.", "Nothing.", _NOTHING)
    LEFT_ALONE = ("left_alone", "A rule of leave_alone meets the image.",
                  "It is not copied. A replica that was there before goes on following it.",
                  "Change leave_alone or the image.")
    NOT_SELECTED = ("not_selected", "The strategy does not select this region.", "Nothing.",
                    "Change sync_strategy, or what the owner may use, if that is wrong; the reason tells more.")
    NOT_ALLOWED_KEPT = ("not_allowed_kept", "The image's owner may not use this region, or may not any more.",
                        "The replica gets no new bytes and follows its image: metadata, members, deletion.",
                        "Let the owner use the region, or set disallowed_replicas.")
    NOT_ALLOWED_HIDDEN = ("not_allowed_hidden", "The image's owner may not use this region, or may not any more.",
                          "The replica is hidden (os_hidden), gets no new bytes and follows its image.",
                          "Let the owner use the region; the replica is shown again.")
    NOT_ALLOWED_REMOVING = (
        "not_allowed_removing", "The image's owner may not use this region, or may not any more.",
        "The replica is deleted when two comparisons at least delete_confirm_seconds apart found it so; until then it "
        "follows its image.", "Let the owner use the region if it is to stay.")
    OWNER_REGIONS_UNKNOWN = (
        "owner_regions_unknown", "Keystone does not tell which regions the image's owner may use.",
        "Nothing new is copied, nothing is hidden or removed; a replica that is there follows its image. Keystone is "
        "asked again after a minute.", "Look at Keystone, and whether the service user has its admin role there.")
    REGION_GONE = ("region_gone", "The region is not in Keystone's catalog.",
                   "When it comes back, everything in it is compared.", "Put its endpoint back, or leave it.")
    REGION_NOT_SEEN_WHOLE = (
        "region_not_seen_whole", "The region does not show the service user what only an admin sees: an image that it "
        "does not show may be there.", "Nothing is made there, nothing counts as gone there, comparisons leave it out. "
        "It is looked at again every minute.", "Give the service user its admin role back, or mend that Glance's "
        "policy; `glance-sync-manage region status` tells when it is seen whole.")
    BORN_HERE = ("born_here", "The image was made from the region's own image, which stands for its replica.",
                 "It is neither changed nor deleted.", _NOTHING)
    FILLING = ("filling", "The snapshot is ready; the image gets its bytes from there.",
               "They are verified, then copied to the other regions.", _NOTHING)
    SNAPSHOT_NOT_READY = ("snapshot_not_ready", "The snapshot is not active in its region yet.",
                          "It is looked at every snapshot_sleep_interval_seconds, until snapshot_timeout_seconds are "
                          "over.", _NOTHING)
    SNAPSHOT_PENDING = ("snapshot_pending", "The image waits for its bytes from the region that it was made in.",
                        "It is copied as soon as it has them.", "Look at the pair of the image and that region.")
    SNAPSHOT_GONE = ("snapshot_gone", "The region deleted the snapshot that the image was made from.",
                     "It is not made again there.", _NOTHING)
    SNAPSHOT_KEPT = ("snapshot_kept", "The image is gone; what it was made from is the region's own image.",
                     "It is kept, and becomes no image again.", "Delete it yourself if it is not wanted.")
    NOT_BORN_HERE = ("not_born_here", "The image has other bytes than the snapshot that was named, or is not there.",
                     "The claim is forgotten; the region is like any other for the image.", _NOTHING)
    BLOCK_DEVICES_ONLY = ("block_devices_only", "The image has no bytes; it names volumes or snapshots of its region.",
                          "Nothing; the volumes stay where they are.",
                          "Upload the volume itself to an image where other regions need it.")
    REGISTERING = ("registering", "The region's Glance reads the image's external URL and verifies it.",
                   "The replica is handed over then; where that fails the bytes are copied.", _NOTHING)
    AWAITS_REFERENCE = ("awaits_reference", "The image's kernel_id or ramdisk_id names an image that has no replica "
                        "here yet.", "It is copied after that one.", "Look at the image that the reason names.")
    IMAGE_TOO_LARGE = ("image_too_large", "The image has more bytes than [transfer] max_image_bytes lets pass.",
                       "No byte is moved; it is looked at again every ten minutes.",
                       "Raise the option, or leave the image out by leave_alone.")
    FORMAT_NOT_ENABLED = ("format_not_enabled", "The region's Glance takes no images of this disk or container format.",
                          "No byte is moved; it is looked at again every ten minutes.",
                          "Enable the format under [image_format] of that Glance, or leave such images out.")
    QUOTA_SHORT = ("quota_short", "The quota that the region gives the service project does not suffice for the image.",
                   "No byte is moved; it is looked at again every ten minutes.",
                   "Raise the limit of the service project in that region's Keystone limits.")
    STORE_SPACE_SHORT = ("store_space_short", "The disk on which the region keeps its images has no room for this one.",
                         "No byte is moved; it is looked at again every ten minutes.", "Make room there.")
    USABLE_UNVERIFIED = ("usable_unverified", "The replica is served from the source's web server; its bytes are not "
                         "verified.", "They are brought home into the region's own store, compared, and the web server "
                         "is left.", _NOTHING)
    CONTESTED = ("contested", "The replica was deleted in its region more than max_restores times.",
                 "It is not made again.", "Find out who deletes it, then retry its task.")
    CONFLICT = ("conflict", "An image that is not ours stands under the id, or under the name for the same owner.",
                "It is left alone.", "Look at GET /v1/conflicts and choose skip, replace or new_id; adopt_by_hash "
                "takes over identical images of the same name.")
    SKIPPED = ("conflict_skipped", "An operator chose to leave the image out of this region.", "Nothing.",
               "Choose replace or new_id to have it after all.")
    ADOPTED_DIFFERS = ("adopted_differs", "A replica that was adopted would have to be replaced, and may not be "
                       "deleted because delete_adopted is off.", "It is left alone, deactivated if its bytes rotted.",
                       "Choose replace, or new_id to have a sound one beside it.")
    SOURCE_MISSING = ("source_missing", "The cascading Glance does not show the image, but did not report its removal.",
                      "It counts as deleted when two comparisons far enough apart miss it.", _NOTHING)
    DELETING = ("deleting", "The image was deleted, with proof.", "Its replica is deleted.", _NOTHING)
    DELETED = ("deleted", "The image was deleted, and its replica is gone.", "Nothing.", _NOTHING)
    NOT_OURS = ("not_ours", "The image is gone; the one under its id in this region was not made by this server.",
                "It is left alone.", _NOTHING)
    FOREIGN = ("foreign", "An image of the region that is neither in the cascading one nor a replica of this server's.",
               "It is reported and left alone.", "Nothing; or upload it in the cascading region, or delete it.")
    ADOPTED_KEPT = ("adopted_kept", "The image is gone; its replica was here before this server.", "It is kept.",
                    "Delete it yourself, or set delete_adopted.")
    DELETIONS_HELD = ("deletions_held", "The brake holds: max_deletes was reached within its window.", _HELD,
                      "Look at GET /v1/deletions; if they are right run `glance-sync-manage deletion release`.")
    SOURCE_UNTRUSTED = ("source_untrusted", "The cascading Glance is not believed now.", _HELD, _ACCEPT)
    SOURCE_CHANGED = ("source_changed", "The cascading Glance has another region or endpoint than before.", _HELD,
                      _ACCEPT)
    CANARY_MISSING = ("canary_missing", "The canary image, which only an admin can see, is not shown: the service user "
                      "lost its admin role, or this is another or an emptied database.", _HELD, _ACCEPT)
    SOURCE_RESTORED = ("source_restored", "The canary image carries an older mark than this server wrote: the "
                       "cascading Glance's database is an older one.", _HELD, _ACCEPT)
    SOURCE_FELL = ("source_fell", "The cascading region shows fewer images than at the comparison before, by more than "
                   "max_deletes_percent.", _HELD, _ACCEPT)


#: A proved deletion waits for one of these to pass.
HELD = frozenset({Code.DELETIONS_HELD, Code.SOURCE_UNTRUSTED, Code.SOURCE_CHANGED, Code.CANARY_MISSING,
                  Code.SOURCE_RESTORED, Code.SOURCE_FELL})
