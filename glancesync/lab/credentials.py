# SPDX-License-Identifier: Apache-2.0
"""The files by which people and the openstack client log in: openrc and clouds.yaml, mode 0600. Called by `cloud`."""
from __future__ import annotations

from pathlib import Path

import yaml

from glancesync.lab.files import write_private
from glancesync.lab.state import LabState

CLOUDS = ("admin", "demo", "rival")


def openrc_path(directory: Path) -> Path:
    return directory / "openrc"


def clouds_path(directory: Path) -> Path:
    return directory / "clouds.yaml"


def write_credentials(state: LabState) -> None:
    """openrc holds the admin, clouds.yaml a cloud for the admin and each ordinary user, with all regions."""
    write_private(openrc_path(state.directory), _openrc(state))
    clouds = {user: _cloud(state, user) for user in CLOUDS}
    write_private(clouds_path(state.directory), yaml.safe_dump({"clouds": clouds}, sort_keys=False))


def _openrc(state: LabState) -> str:
    auth = {name: value for name, value in state.auth_options("admin").items()}
    lines = [f"export OS_{name.upper()}='{value}'" for name, value in auth.items()]
    # The client accepts no other region than OS_REGION_NAME: clouds.yaml serves all of them.
    lines += ["export OS_IDENTITY_API_VERSION='3'", f"export OS_REGION_NAME='{state.cascading_region}'",
              f"export OS_CLIENT_CONFIG_FILE='{clouds_path(state.directory)}'", "export no_proxy='*'"]
    return "\n".join(lines) + "\n"


def _cloud(state: LabState, user: str) -> dict[str, object]:
    auth = {name: value for name, value in state.auth_options(user).items() if name != "auth_type"}
    return {
        "auth": auth, "auth_type": "password", "identity_api_version": 3,
        "regions": list(state.regions), "interface": "public",
    }
