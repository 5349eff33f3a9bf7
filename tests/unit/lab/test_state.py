# SPDX-License-Identifier: Apache-2.0
"""What a lab remembers, and what it refuses to become."""
from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from glancesync.lab.errors import LabError
from glancesync.lab.server import SyncServer
from glancesync.lab.state import USERS, LabOptions, find_state, plan_state, state_path


def test_new_lab_has_a_port_for_each_service_and_a_password_for_each_user(tmp_path: Path) -> None:
    state = plan_state(tmp_path, None, LabOptions(regions=4))
    assert state.regions == ("RegionOne", "RegionTwo", "RegionThree", "RegionFour")
    assert set(state.ports) == {"keystone", "server", *state.regions}
    assert len(set(state.ports.values())) == 6
    assert state.passwords.keys() >= USERS.keys()
    assert len(set(state.passwords.values())) == len(state.passwords)


def test_state_survives_on_disk_and_is_private(tmp_path: Path) -> None:
    state = plan_state(tmp_path, None, LabOptions(token_expiration_seconds=60))
    state.save()
    assert find_state(tmp_path) == state
    assert stat.S_IMODE(state_path(tmp_path).stat().st_mode) == 0o600


def test_growing_keeps_ports_and_passwords(tmp_path: Path) -> None:
    small = plan_state(tmp_path, None, LabOptions(regions=2))
    grown = plan_state(tmp_path, small, LabOptions(regions=3))
    assert grown.ports.items() > small.ports.items()
    assert grown.passwords == small.passwords
    assert "RegionThree" not in small.ports


@pytest.mark.parametrize(("options", "reason"), [
    (LabOptions(regions=2), "has 3 regions"),
    (LabOptions(regions=3, database="mariadb"), "runs on sqlite"),
    (LabOptions(regions=3, glance_environment="/elsewhere"), "runs the Glance of"),
    (LabOptions(servers=1, sync_database="postgresql:///sync"), "has 2 sync servers"),
])
def test_what_a_standing_lab_cannot_become(tmp_path: Path, options: LabOptions, reason: str) -> None:
    found = plan_state(tmp_path, None, LabOptions(regions=3, servers=2, sync_database="postgresql:///sync"))
    with pytest.raises(LabError, match=reason):
        plan_state(tmp_path, found, options)


def test_several_servers_have_a_port_and_a_folder_each_and_one_database(tmp_path: Path) -> None:
    state = plan_state(tmp_path, None, LabOptions(servers=3, sync_database="postgresql+psycopg2:///sync"))
    servers = [SyncServer(state, name=name) for name in state.server_names]
    assert [server.name for server in servers] == ["server", "server-2", "server-3"]
    assert len({server.url for server in servers}) == len({server.directory for server in servers}) == 3
    assert servers[0].url == state.server_url
    assert all("connection = postgresql+psycopg2:///sync\n" in text
               for server in servers for text in server.files().values())


@pytest.mark.parametrize("wrong", [{"regions": 1}, {"regions": 9}, {"database": "oracle"}, {"servers": 0},
                                   {"servers": 2}, {"servers": 2, "sync_database": "sqlite:////tmp/sync.db"}])
def test_options_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(LabError):
        LabOptions(**wrong)


def test_unreadable_state_names_its_file(tmp_path: Path) -> None:
    state_path(tmp_path).write_text("{")
    with pytest.raises(LabError, match="lab.json"):
        find_state(tmp_path)
    assert find_state(tmp_path / "elsewhere") is None
