# SPDX-License-Identifier: Apache-2.0
"""What osc-lib asks of a plugin: its name, its options, its client. Loaded by every `openstack` command."""
from __future__ import annotations

import argparse
from typing import Any

from keystoneauth1.exceptions.catalog import CatalogException
from osc_lib import exceptions, utils

SERVICE_TYPE = "image-sync"
API_NAME = "image_sync"
API_VERSION_OPTION = "os_image_sync_api_version"
DEFAULT_API_VERSION = "1"
API_VERSIONS = ("1",)


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Adds the options that hold for all commands of this plugin."""
    parser.add_argument("--os-image-sync-api-version", metavar="<image-sync-api-version>",
                        default=utils.env("OS_IMAGE_SYNC_API_VERSION", default=DEFAULT_API_VERSION),
                        help="Image sync API version, default=1 (Env: OS_IMAGE_SYNC_API_VERSION)")
    parser.add_argument("--os-image-sync-endpoint", metavar="<image-sync-endpoint>",
                        default=utils.env("OS_IMAGE_SYNC_ENDPOINT"),
                        help="URL of the sync server, where the catalog names none (Env: OS_IMAGE_SYNC_ENDPOINT)")
    return parser


def make_client(instance: Any) -> Any:
    """The SyncClient of a command, on the session that osc-lib made. Raises EndpointNotFound with the next step."""
    from glancesync.client import SyncClient  # other commands of the client need not load it

    return SyncClient(session=instance.session, base_url=_endpoint(instance), timeout_seconds=60)


def _endpoint(instance: Any) -> str:
    named = instance.get_configuration().get("image_sync_endpoint")
    try:
        found = named or instance.get_endpoint_for_service_type(
            SERVICE_TYPE, region_name=instance.region_name, interface=instance.interface)
    except CatalogException:  # its own text names no next step
        found = None
    if not found:
        where = f" in region {instance.region_name}" if instance.region_name else ""
        raise exceptions.EndpointNotFound(
            f"The catalog names no {SERVICE_TYPE} service{where}. Name the region of the sync server with "
            "--os-region-name, or its URL with --os-image-sync-endpoint or OS_IMAGE_SYNC_ENDPOINT, or have an "
            f"administrator register it: openstack service create --name glance-sync {SERVICE_TYPE}")
    return str(found).rstrip("/").removesuffix("/v1")
