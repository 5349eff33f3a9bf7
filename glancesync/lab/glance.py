# SPDX-License-Identifier: Apache-2.0
"""The Glance of one region: unmodified, but for the paste filter in the cascading one.

It may be another version than this environment's: then it runs in an environment of its own, in which this package is
importable for the filter's sake (`pip install --no-deps`).
"""
from __future__ import annotations

import configparser
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glancesync.lab.database import database_options, prepare_database
from glancesync.lab.errors import LabError
from glancesync.lab.files import Sections, ini
from glancesync.lab.ports import HOST
from glancesync.lab.service import Service, answers, program
from glancesync.lab.state import LabOptions, LabState
from glancesync.lab.wsgi import CONF_NAME, gunicorn_arguments, gunicorn_conf

# What glance.wsgi.api calls; Glance 28 has no such module yet.
APPLICATION = "glance.common.wsgi_app:init_app()"
FILTER_NAME = "glancesync"
FILTER_FACTORY = "glancesync.filter:filter_factory"
STORE_FILTER_FACTORY = "glancesync.filter.store_locations:filter_factory"
# The folders in which bytes may lie, by what they are for.
FOLDERS = ("images", "staging", "tasks")
# Common properties as distributions describe them to Glance; the wheel brings no such file. Without it Glance takes no
# null for a kernel.
_IMAGE_OR_NULL = {"type": ["null", "string"], "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"}
PROPERTY_SCHEMA = {"kernel_id": _IMAGE_OR_NULL, "ramdisk_id": _IMAGE_OR_NULL}


class Glance(Service):
    """One region's Glance with a database, a filesystem store and a port of its own."""

    def __init__(self, state: LabState, region: str) -> None:
        super().__init__(name=region, directory=state.directory / region)
        self._state = state

    @property
    def url(self) -> str:
        return self._state.endpoint(self.name)

    @property
    def python(self) -> Path:
        """The Python that runs it."""
        return glance_python(self._state.options)

    @property
    def store_path(self) -> Path:
        """Where the bytes of its images lie, one file by image id."""
        return self.directory / "images"

    @property
    def staging_path(self) -> Path:
        """Where the bytes of images that are being imported lie."""
        return self.directory / "staging"

    @property
    def outbox_path(self) -> Path:
        """Where the paste filter keeps its events (cascading region only)."""
        return self.directory / "outbox"

    @property
    def has_filter(self) -> bool:
        return self._state.options.with_filter and self.name == self._state.cascading_region

    def files(self) -> Mapping[Path, str]:
        paste = installed_paste_file(self.python).read_text("utf-8")
        sections = self._glance_options()
        if self.has_filter:
            paste = add_filter(paste)
            sections["glance_sync"] = self._filter_options()
        if self._state.options.store_filter and self.name != self._state.cascading_region:
            paste = add_filter(paste, STORE_FILTER_FACTORY)
        if self._state.regions.index(self.name) < self._state.options.http_stores:
            # Where several stores are enabled by name, Glance finds none for an http URL.
            del sections["DEFAULT"]["enabled_backends"]
            sections["DEFAULT"]["node_staging_uri"] = f"file://{self.staging_path}"
            sections["glance_store"] = {"stores": "file,http", "default_store": "file",
                                        "filesystem_store_datadir": self.store_path}
        if self._state.options.notifications_url:
            sections["DEFAULT"]["default_publisher_id"] = f"image.{self.name}"
            sections["oslo_messaging_notifications"] = {
                "driver": "messagingv2", "topics": notification_topic(self._state, self.name),
                "transport_url": self._state.options.notifications_url}
        gunicorn = gunicorn_conf(application=APPLICATION, port=self._state.ports[self.name], threads=8)
        return {self._conf: ini(sections), self._paste: paste, self.directory / CONF_NAME: gunicorn,
                self.directory / "schema-image.json": json.dumps(PROPERTY_SCHEMA)}

    def prepare(self) -> None:
        for folder in FOLDERS:
            (self.directory / folder).mkdir(mode=0o700, exist_ok=True)
        prepare_database(self._state, self)
        self.run([program("glance-manage", self.python), "--config-file", str(self._conf), "db_sync"])

    def arguments(self) -> Sequence[str]:
        return gunicorn_arguments(self.python)

    def environment(self) -> Mapping[str, str]:
        return {"OS_GLANCE_CONFIG_DIR": str(self.directory)}

    def is_ready(self) -> bool:
        return answers(f"{self.url}/healthcheck")

    @property
    def _conf(self) -> Path:
        return self.directory / "glance-api.conf"

    @property
    def _paste(self) -> Path:
        return self.directory / "glance-api-paste.ini"

    def _glance_options(self) -> Sections:
        folders = {name: {"filesystem_store_datadir": self.directory / name} for name in FOLDERS}
        return {
            "DEFAULT": {
                "enabled_backends": "local:file",
                "enabled_import_methods": "[glance-direct,web-download,glance-download,copy-image]",
                "worker_self_reference_url": self.url,
            },
            "database": database_options(self._state, self),
            "glance_store": {"default_backend": "local"},
            "local": folders["images"],
            "os_glance_staging_store": folders["staging"],
            "os_glance_tasks_store": folders["tasks"],
            # An empty list of ports allows all: tests serve files to import on ports of their own.
            "import_filtering_opts": {"allowed_hosts": f"[{HOST}]", "allowed_ports": "[]"},
            "keystone_authtoken": self._state.auth_options("glance") | {
                "www_authenticate_uri": self._state.keystone_url, "service_token_roles": "service",  # nosec B105 - a role
                "service_token_roles_required": True,  # nosec B105
            },
            "paste_deploy": {"flavor": "keystone", "config_file": self._paste},
            "wsgi": {"task_pool_threads": 4},
            # What registers a location needs it; Glance has no default.
            "oslo_concurrency": {"lock_path": self.directory / "locks"},
        }

    def _filter_options(self) -> dict[str, Any]:
        return {
            "sync_enabled": True,
            "sync_server_protocol": "http",
            "sync_server_host": HOST,
            "sync_server_port": self._state.ports["server"],
            "sync_server_timeout_seconds": 5,
            "outbox_path": self.outbox_path,
            **self._state.auth_options("glance-sync-events"),
        }


def notification_topic(state: LabState, region: str) -> str:
    """Where the region's Glance emits its notifications; each cascaded one has a topic of its own."""
    return "notifications" if region == state.cascading_region else f"notifications_{region}"


def glance_python(options: LabOptions) -> Path:
    """The Python of the environment that holds the lab's Glance."""
    return Path(options.glance_environment) / "bin" / "python" if options.glance_environment else Path(sys.executable)


def installed_paste_file(python: Path) -> Path:
    """The glance-api-paste.ini that came with Python's Glance; raises LabError when there is none."""
    path = python.parents[1] / "etc" / "glance" / "glance-api-paste.ini"
    if not path.exists():
        raise LabError(f"{path} is missing: install the extra with `pip install 'glancesync[lab]'`")
    return path


def add_filter(paste: str, factory: str = FILTER_FACTORY) -> str:
    """The paste file with a filter of ours before the root application of every keystone pipeline of [composite:api].

    Raises LabError when there is no such pipeline to extend.
    """
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(paste)
    pipelines = dict(parser["composite:api"]) if parser.has_section("composite:api") else {}
    extended = {name: re.sub(r"\brootapp$", f"{FILTER_NAME} rootapp", value)
                for name, value in pipelines.items() if name.startswith("keystone")}
    if not extended or any(FILTER_NAME not in value for value in extended.values()):
        raise LabError("glance-api-paste.ini has no keystone pipelines that end in rootapp under [composite:api]")
    parser["composite:api"].update(extended)
    parser[f"filter:{FILTER_NAME}"] = {"paste.filter_factory": factory}
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()
