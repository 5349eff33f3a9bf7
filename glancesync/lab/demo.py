# SPDX-License-Identifier: Apache-2.0
"""The demo: the main job happening on a real cloud, then the judge's verdict. Called by `glance-sync-lab demo`."""
from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from glancesync.lab.cloud import Lab
from glancesync.lab.credentials import clouds_path, openrc_path
from glancesync.lab.demo_changes import CHANGES, pending_changes
from glancesync.lab.demo_images import MARK, MIB, DemoImage, demo_images, random_bytes
from glancesync.lab.demo_view import ProgressView, result_table
from glancesync.lab.errors import LabError
from glancesync.lab.images import Images
from glancesync.lab.oracle import Oracle
from glancesync.lab.sync_state import ImageState, SyncState

COPY_SECONDS = 180.0
FOLLOW_SECONDS = 60.0
POLL_SECONDS = 0.1


class Demo:
    """Tells the story step by step on the console. `lab` must stand, with its server."""

    def __init__(self, lab: Lab, console: Console) -> None:
        self._lab = lab
        self._console = console
        self._view = ProgressView(console, lab.cascaded_regions)
        self._sessions = {user: lab.session(user) for user in ("admin", "demo", "rival")}
        self._server = SyncState(self._sessions["admin"], lab.server.url)
        self._projects = {user: str(session.get_project_id()) for user, session in self._sessions.items()}
        self._oracle = Oracle(lab.state)

    def run(self, images: tuple[DemoImage, ...] | None = None) -> bool:
        """The whole story with these images (the changes name them); True when the judge found nothing to say.

        Raises LabError when something never came.
        """
        self._remove_earlier()
        names = self._upload_all(images or demo_images())
        self._console.rule("copying")
        states = self._watch_until_in_sync(names)
        self._console.print(result_table(names, states, self._lab.cascaded_regions))
        self._time_one_image()
        self._console.rule("changes follow")
        self._change(names)
        return self._verdict(names)

    def _images(self, user: str, region: str | None = None) -> Images:
        return Images(self._sessions[user], self._lab.endpoint(region or self._lab.cascading_region))

    def _remove_earlier(self) -> None:
        ours = self._images("admin")
        earlier = [record["id"] for hidden in ("false", "true")
                   for record in ours.list(visibility="all", os_hidden=hidden, **{MARK: "yes"})]
        for image_id in earlier:
            ours.ensure_deleted(image_id)
        if earlier:
            self._console.print(f"removed {len(earlier)} images of an earlier run; their replicas follow")

    def _upload_all(self, wanted: tuple[DemoImage, ...]) -> dict[str, str]:
        """Names by image id."""
        self._console.rule(f"uploading to {self._lab.cascading_region} as ordinary users")
        names = {}
        for image in wanted:
            image_id = self._upload(image)
            names[image_id] = image.name
            self._console.print(f"  {image.user:<6} {image.name}", markup=False, highlight=False)
        return names

    def _upload(self, image: DemoImage) -> str:
        ours = self._images(image.user)
        image_id = str(ours.create(image.name, **image.fields | {MARK: "yes"})["id"])
        if image.member is not None:
            ours.add_member(image_id, self._projects[image.member])
        if image.member is not None and image.accepted:
            self._images(image.member).set_member_status(image_id, self._projects[image.member], "accepted")
        ours.upload(image_id, image.data())
        return image_id

    def _watch_until_in_sync(self, names: Mapping[str, str]) -> dict[str, ImageState]:
        end = time.monotonic() + COPY_SECONDS
        regions = self._lab.cascaded_regions
        with self._view.watching():
            while True:
                states = self._server.read(names.keys())
                self._view.show(names, states)
                late = [name for image_id, name in names.items()
                        if image_id not in states or not states[image_id].is_in_sync(regions)]
                if not late:
                    return states
                if time.monotonic() > end:
                    raise LabError(f"not in sync after {COPY_SECONDS:g} s: {', '.join(late)}; the sync server's log is "
                                   f"{self._lab.server.log_path}")
                time.sleep(POLL_SECONDS)

    def _time_one_image(self) -> None:
        """From active in the cascading region to verified in all others, with nothing else to do."""
        image = DemoImage(name="stopwatch (1 MiB)", user="demo", data=random_bytes(MIB))
        image_id = self._upload(image)
        active_at = time.time()
        states = self._watch_until_in_sync({image_id: image.name})
        taken = {region: _parse(replica.verified_at) - active_at
                 for region, replica in states[image_id].replicas.items() if replica.verified_at}
        each = ", ".join(f"{region} {seconds:.2f} s" for region, seconds in sorted(taken.items()))
        self._console.print(f"a 1 MiB image at rest, from active to verified: {each}", highlight=False,
                            soft_wrap=True)

    def _change(self, names: Mapping[str, str]) -> None:
        image_ids = {name: image_id for image_id, name in names.items()}
        made_at = {}
        for change in CHANGES:
            change.apply(self._images(change.user), image_ids[change.image])
            made_at[change.title] = time.monotonic()
        pending = pending_changes(image_ids, self._lab.cascaded_regions, made_at)
        seconds: dict[tuple[str, str], float] = {}
        end = time.monotonic() + FOLLOW_SECONDS
        while pending:
            for item in tuple(pending):
                if item.change.is_seen(self._images("admin", item.region), item.image_id):
                    seconds[item.change.title, item.region] = time.monotonic() - item.since
                    pending.remove(item)
            if time.monotonic() > end:
                break
            time.sleep(POLL_SECONDS)
        self._console.print(self._change_table(seconds))

    def _change_table(self, seconds: Mapping[tuple[str, str], float]) -> Table:
        regions = self._lab.cascaded_regions
        table = Table("image", "change", *regions, title="seen in each region after", title_justify="left")
        for change in CHANGES:
            cells = [f"{seconds[change.title, region]:.1f} s" if (change.title, region) in seconds else "never"
                     for region in regions]
            table.add_row(change.image, change.title, *cells)
        return table

    def _verdict(self, names: Mapping[str, str]) -> bool:
        """The judge is asked until it has nothing to say or the time is over."""
        self._console.rule("verdict")
        end = time.monotonic() + FOLLOW_SECONDS
        while differences := self._oracle.judge(self._replica_ids(names), files=False):
            if time.monotonic() > end:
                break
            time.sleep(POLL_SECONDS * 5)
        differences = differences or self._oracle.judge(self._replica_ids(names))
        for sentence in differences:
            self._console.print(f"  {sentence}", markup=False, highlight=False, style="red")
        told = "they differ" if differences else "all regions hold the same images, the files in their stores included"
        self._console.print(f"read by plain HTTP and hashed on disk: {told}",
                            style="red" if differences else "green", soft_wrap=True)
        return not differences

    def _replica_ids(self, names: Mapping[str, str]) -> dict[tuple[str, str], str]:
        states = self._server.read(names.keys())
        return {(image_id, region): replica.replica_id for image_id, state in states.items()
                for region, replica in state.replicas.items() if replica.replica_id}


def run_demo(lab: Lab, console: Console, *, once: bool) -> bool:
    """Tell the story on a lab that stands; with `once` end the cloud afterwards, whatever came of it."""
    try:
        return Demo(lab, console).run()
    finally:
        if once:
            lab.down()
            console.print("the cloud is gone")
        else:
            _tell_where(lab, console)


def _tell_where(lab: Lab, console: Console) -> None:
    console.rule("the cloud runs on")
    programs = Path(sys.prefix) / "bin"
    lines = [f"{'sync server':<14} {lab.server.url}", f"{'keystone':<14} {lab.keystone_url}",
             *(f"{region:<14} {lab.endpoint(region)}" for region in lab.regions),
             f"{'page':<14} {lab.server.url}/web/",
             f"{'admin, demo':<14} export PATH={programs}:$PATH OS_CLIENT_CONFIG_FILE={clouds_path(lab.directory)}",
             f"{'':<14} openstack --os-cloud admin --os-region-name {lab.regions[0]} image sync status",
             f"{'':<14} openstack --os-cloud demo --os-region-name {lab.cascaded_regions[0]} image list",
             f"{'passwords':<14} {clouds_path(lab.directory)}; for other shells (admin): {openrc_path(lab.directory)}",
             f"{'end it':<14} {programs / 'glance-sync-lab'} down --dir {lab.directory}"]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _parse(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
