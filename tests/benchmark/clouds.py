# SPDX-License-Identifier: Apache-2.0
"""The cloud under a benchmark: a lab, its sync server as installed, and more glance-api processes beside its own."""
from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from keystoneauth1.session import Session

from glancesync.lab import process
from glancesync.lab.cloud import Lab
from glancesync.lab.glance import Glance
from glancesync.lab.images import Images
from glancesync.lab.ports import find_free_port
from glancesync.lab.service import Service
from glancesync.lab.state import DATABASES, LabOptions, LabState
from tests.benchmark.rounds import clocked, cpu_seconds
from tests.fixtures.polling import eventually

#: The end is told by the API's times, so asking rarely costs no precision, and asking often costs the machine.
POLL_SECONDS = 1.0
#: The product's defaults, but for a comparison in the middle of something else.
SERVER_OPTIONS: Mapping[str, object] = {"reconcile_interval_seconds": 0}


def add_lab_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lab-dir", type=Path, help="use the lab of this directory and leave it standing, with the "
                        "images that were made (without: a lab of its own, removed at the end)")
    parser.add_argument("--database", choices=DATABASES, default="mariadb",
                        help="where the Glances of the lab of its own keep their rows (mariadb)")


class Cloud:
    """A standing lab as the benchmarks use it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    @cached_property
    def admin(self) -> Session:
        return self.lab.session("admin")

    @property
    def targets(self) -> tuple[str, ...]:
        return self.lab.cascaded_regions[:2]

    def images(self, region: str) -> Images:
        return Images(self.admin, self.lab.endpoint(region))

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """One request to the sync server."""
        return dict(self.admin.request(self.lab.server.url + path, method, **options).json())

    def sync(self, image_ids: list[str]) -> None:
        """POST /v1/sync of these images."""
        self.call("POST", "/v1/sync", json={"image_ids": image_ids})

    def measured(self, work: Callable[[], object]) -> dict[str, float]:
        """Seconds that it takes by the clock, and of CPU: in all, of the sync server, of the Glances with their
        database, and of this process with its ended children (`own`)."""
        before, seconds = self._cpu_seconds(), clocked(work)
        used = {name: value - before[name] for name, value in self._cpu_seconds().items()}
        return {"seconds": seconds, "cpu": sum(used.values()), **{f"cpu {name}": used[name] for name in used}}

    def _cpu_seconds(self) -> dict[str, float]:
        own = os.times()
        found = {"own": sum(own[:4]), "server": 0.0, "Glances": 0.0, "Keystone": 0.0}
        for service in self.lab.services:
            kind = {"server": "server", "keystone": "Keystone"}.get(service.name, "Glances")
            found[kind] += cpu_seconds(pids_of(service))
        return found

    def wait_synced(self, image_ids: list[str], deadline_seconds: float) -> float:
        """When the last of them was in sync everywhere, in seconds since the epoch, as the server's API tells. Asked
        rarely: each question takes a part of the machine."""
        def idle() -> bool:
            return not any(self.call("GET", f"/v1/tasks?limit=1&state={state}")["tasks"]
                           for state in ("waiting", "running"))

        eventually(idle, deadline_seconds, every_seconds=POLL_SECONDS, what="no task is left")
        views = [view for image_id in image_ids
                 for view in self.call("GET", f"/v1/images/{image_id}")["image"]["regions"]]
        assert {view["state"] for view in views} == {"in_sync"}, views
        assert len(views) == len(image_ids) * len(self.lab.cascaded_regions)
        return max(datetime.fromisoformat(view["synced_at"]).timestamp() for view in views)


@contextmanager
def standing_cloud(options: argparse.Namespace, **server_options: object) -> Iterator[Cloud]:
    """The lab of --lab-dir, or one that exists for the benchmark alone; its sync server runs with SERVER_OPTIONS and
    these of [DEFAULT]."""
    if options.lab_dir:
        with _with_server(Lab(options.lab_dir), server_options) as cloud:
            yield cloud
        return
    with tempfile.TemporaryDirectory(prefix="glancesync-benchmark-") as name:
        lab = Lab(Path(name) / "lab")
        try:
            lab.up(LabOptions(database=options.database, store_filter=getattr(options, "store_filter", False)),
                   with_server=False)
            with _with_server(lab, server_options) as cloud:
                yield cloud
        finally:
            lab.down()


@contextmanager
def _with_server(lab: Lab, options: Mapping[str, object]) -> Iterator[Cloud]:
    lab.server.overrides = {"DEFAULT": {**SERVER_OPTIONS, **options}}
    lab.server.bring_up()
    yield Cloud(lab)
    lab.server.overrides = {}
    lab.server.bring_up()


class SideGlance(Glance):
    """One more glance-api of the cascading region: its database and store, but a port and a paste file of its own.

    Without the filter what is written through it is reported to nobody. `server_port`: where its filter looks for the
    sync server.
    """

    def __init__(self, state: LabState, name: str, *, filtered: bool, server_port: int | None = None) -> None:
        region = state.cascading_region
        self._main = Glance(state, region)
        self._filtered = filtered
        super().__init__(replace(state, ports={**state.ports, region: find_free_port(state.ports.values()),
                                               "server": server_port or state.ports["server"]}), region)
        Service.__init__(self, name=region, directory=state.directory / f"benchmark-{name}")

    @property
    def has_filter(self) -> bool:
        return self._filtered

    def prepare(self) -> None:
        """Its region's own glance-api prepared everything."""

    def bring_up(self) -> None:
        self.configure()
        self.start()
        self.wait_ready()

    def _glance_options(self) -> dict[str, dict[str, Any]]:
        own, shared = super()._glance_options(), self._main._glance_options()
        places = ("database", "local", "os_glance_staging_store", "os_glance_tasks_store")
        return own | {section: shared[section] for section in places}


@contextmanager
def side_glance(lab: Lab, name: str, **how: Any) -> Iterator[SideGlance]:
    """A SideGlance that stands, and is ended afterwards."""
    glance = SideGlance(lab.state, name, **how)
    try:
        glance.bring_up()
        yield glance
    finally:
        glance.stop()


def pids_of(service: Service) -> list[int]:
    """The processes of a service, its workers included."""
    pid = service.pid
    group = process.group_of(pid, str(service.directory)) if pid else None
    return process.list_members(group) if group else []
