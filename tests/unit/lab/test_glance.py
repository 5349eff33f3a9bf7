# SPDX-License-Identifier: Apache-2.0
"""The Glances' files: the filter in the cascading region only, secrets in files only."""
from __future__ import annotations

import configparser
import sys
from pathlib import Path

import pytest

from glancesync.lab.errors import LabError
from glancesync.lab.glance import Glance, add_filter, installed_paste_file
from glancesync.lab.state import LabOptions, LabState, plan_state


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    return plan_state(tmp_path, None, LabOptions(regions=2))


def _read(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return parser


def test_filter_stands_between_context_and_rootapp() -> None:
    parser = _read(add_filter(installed_paste_file(Path(sys.executable)).read_text()))
    pipelines = {name: value.split() for name, value in parser["composite:api"].items() if "app" in value}
    keystone = {name: value for name, value in pipelines.items() if name.startswith("keystone")}
    assert len(keystone) == 3
    for value in keystone.values():
        assert value[-2:] == ["glancesync", "rootapp"]
        assert value.index("context") < value.index("glancesync")
    assert "glancesync" not in pipelines["default"]
    assert parser["filter:glancesync"]["paste.filter_factory"] == "glancesync.filter:filter_factory"


def test_unknown_paste_file_is_refused() -> None:
    with pytest.raises(LabError, match="no keystone pipelines"):
        add_filter("[pipeline:glance-api-keystone]\npipeline = authtoken context rootapp\n")


def test_cascaded_glance_has_its_paste_file_unmodified(state: LabState) -> None:
    files = {path.name: text for path, text in Glance(state, "RegionTwo").files().items()}
    assert files["glance-api-paste.ini"] == installed_paste_file(Path(sys.executable)).read_text()
    assert "glance_sync" not in files["glance-api.conf"]


def test_cascading_glance_holds_the_events_account_and_no_admin(state: LabState) -> None:
    files = {path.name: text for path, text in Glance(state, "RegionOne").files().items()}
    section = _read(files["glance-api.conf"])["glance_sync"]
    assert section["username"] == "glance-sync-events"
    assert section["sync_server_port"] == str(state.ports["server"])
    assert Path(section["outbox_path"]).is_relative_to(state.directory)
    for user in ("admin", "glance-sync"):
        assert state.passwords[user] not in files["glance-api.conf"]


def test_lab_without_the_filter(tmp_path: Path) -> None:
    state = plan_state(tmp_path, None, LabOptions(with_filter=False))
    files = {path.name: text for path, text in Glance(state, "RegionOne").files().items()}
    assert "glancesync" not in files["glance-api-paste.ini"]


def test_glance_of_another_environment(tmp_path: Path) -> None:
    state = plan_state(tmp_path, None, LabOptions(glance_environment="/elsewhere"))
    assert Glance(state, "RegionTwo").arguments()[0] == "/elsewhere/bin/python"
    with pytest.raises(LabError, match="/elsewhere/etc/glance/glance-api-paste.ini is missing"):
        Glance(state, "RegionTwo").files()


def _conf(state: LabState, region: str) -> configparser.RawConfigParser:
    return _read({path.name: text for path, text in Glance(state, region).files().items()}["glance-api.conf"])


def test_by_default_nobody_is_notified_and_only_files_are_stored(state: LabState) -> None:
    conf = _conf(state, "RegionOne")
    assert "oslo_messaging_notifications" not in conf
    assert conf["DEFAULT"]["enabled_backends"] == "local:file"


def test_each_region_notifies_under_a_topic_of_its_own(tmp_path: Path) -> None:
    state = plan_state(tmp_path, None, LabOptions(regions=2, notifications_url="rabbit://broker/"))
    topics = {}
    for region in state.regions:
        options = _conf(state, region)["oslo_messaging_notifications"]
        assert (options["driver"], options["transport_url"]) == ("messagingv2", "rabbit://broker/")
        topics[region] = options["topics"]
    assert topics == {"RegionOne": "notifications", "RegionTwo": "notifications_RegionTwo"}


def test_the_first_regions_take_http_locations(tmp_path: Path) -> None:
    state = plan_state(tmp_path, None, LabOptions(regions=3, http_stores=2))
    stores = [_conf(state, region)["glance_store"].get("stores") for region in state.regions]
    assert stores == ["file,http", "file,http", None]
