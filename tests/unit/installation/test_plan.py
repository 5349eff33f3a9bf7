# SPDX-License-Identifier: Apache-2.0
"""Which changes there are, and in which order."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from glancesync import conf as options
from glancesync.conf.listing import list_opts
from glancesync.installation import edits
from glancesync.installation.changes import Command, Directory, Edit, File, Link
from glancesync.installation.layout import Layout, Request
from glancesync.installation.plan import changes, filter_options, rotation, server_configuration
from glancesync.installation.programs import Build, version_of
from tests.unit.installation.test_checks import WELL

ROOT = Path(__file__).parents[3]
GLANCE_CONF = "[keystone_authtoken]\nauth_url = http://keystone:5000/v3\npassword = glances-own\n"
FACTS = replace(WELL, glance_conf=GLANCE_CONF)
SECRET = "pa$$word"


@pytest.fixture
def request_(tmp_path) -> Request:
    return Request(source=ROOT, python=Path("/usr/bin/python3"), glance_conf=tmp_path / "glance-api.conf",
                   glance_paste=tmp_path / "paste.ini", glance_python=Path("/usr/bin/python3"),
                   cascading_region="RegionOne", service_password=SECRET, events_password=SECRET)


def test_the_configuration_is_one_that_the_server_takes(request_, tmp_path):
    text = server_configuration(Layout(), request_, FACTS)
    path = tmp_path / "glance-sync.conf"
    path.write_text(text)
    conf = options.parse([f"--config-file={path}"], prog="glance-sync")
    conf.register_opts(dict(list_opts())["keystone"], group="keystone")
    assert options.read_settings(conf).server.connection == "sqlite:////var/lib/glance-sync/glance-sync.db"
    assert (conf.keystone.auth_url, conf.keystone.password) == ("http://keystone:5000/v3", SECRET)
    assert conf.log_file == "/var/log/glance-sync/glance-sync.log"
    assert "# The user that does the work" in text


def test_the_filter_is_off_until_it_has_a_password(request_):
    assert filter_options(request_, FACTS)["sync_enabled"] == "true"
    assert filter_options(request_, FACTS)["password"] == SECRET.replace("$", "$$")
    assert filter_options(replace(request_, events_password=None), FACTS)["sync_enabled"] == "false"


def test_an_upgrade_keeps_the_order(request_, tmp_path):
    facts = replace(FACTS, is_installed=True, systemd_runs=True, server_runs=True)
    steps = changes(Layout(root=tmp_path), request_, facts)
    words = [step.what.split(" (")[0] if isinstance(step, Command) else type(step).__name__ for step in steps]
    order = ["Build", "ask the new version whether anything stands against it", "stop the server", "Link",
             "bring the database to this version", "start it again"]
    places = [words.index(each) for each in order]
    assert places == sorted(places), words
    assert isinstance(steps[-2], Edit)
    assert steps[-2].path == request_.glance_paste
    assert words[-1] == "DropOthers"


def test_a_first_installation_starts_and_stops_nothing(request_, tmp_path):
    steps = changes(Layout(root=tmp_path), request_, replace(FACTS, systemd_runs=True))
    assert not any("systemctl st" in step.what for step in steps if isinstance(step, Command))


def test_without_the_filter_glance_is_left_alone(request_, tmp_path):
    steps = changes(Layout(root=tmp_path), replace(request_, with_filter=False), replace(FACTS, glance=None))
    assert not any(isinstance(step, Edit) for step in steps)
    assert [step.is_filter for step in steps if isinstance(step, Build)] == [False]


def test_each_version_has_a_folder_of_its_own(request_, tmp_path):
    def folder(given: Request) -> Path:
        return next(step.path for step in changes(Layout(root=tmp_path), given, FACTS) if isinstance(step, Build))

    assert folder(request_).name == f"environment-{version_of(ROOT)}"
    assert folder(replace(request_, system_packages=True)) != folder(request_)
    links = [step for step in changes(Layout(root=tmp_path), request_, FACTS) if isinstance(step, Link)]
    assert [link.path.name for link in links] == ["bin", "filter"]


def test_the_edits_are_those_of_glances_files(request_, tmp_path):
    steps = {step.path: step for step in changes(Layout(root=tmp_path), request_, FACTS) if isinstance(step, Edit)}
    assert edits.get(steps[request_.glance_conf].text, "glance_sync", "username") == "glance-sync-events"
    assert "context glancesync rootapp" in steps[request_.glance_paste].text


def test_the_rotation_names_the_log(request_, tmp_path):
    layout = Layout(root=tmp_path)
    assert rotation(layout).splitlines()[1] == f"{layout.logs}/*.log {{"
    files = [step.path for step in changes(layout, request_, FACTS) if isinstance(step, File)]
    assert layout.rotation in files
    assert layout.unit in files


def test_a_cascaded_glance_gets_the_store_filter_and_no_server(request_, tmp_path):
    steps = changes(Layout(root=tmp_path), replace(request_, cascaded=True), FACTS)
    names = [type(step).__name__ for step in steps]
    assert names == ["Directory", "Build", "Link", "File", "Directory", "Edit", "Edit", "DropOthers"]
    conf, paste = (step for step in steps if isinstance(step, Edit))
    assert edits.get(conf.text, "oslo_concurrency", "lock_path") == "/var/lib/glance/glance-sync-locks"
    assert edits.SECTION not in conf.text
    assert edits.STORE.factory in paste.text
    assert edits.REPORTER.factory not in paste.text


def test_a_path_for_locks_that_glance_has_stays(request_, tmp_path):
    facts = replace(FACTS, glance_conf="[oslo_concurrency]\nlock_path = /own\n")
    steps = changes(Layout(root=tmp_path), replace(request_, cascaded=True), facts)
    assert [step.text for step in steps if isinstance(step, Edit)][0] == facts.glance_conf
    assert [step.path for step in steps if isinstance(step, Directory)] == [tmp_path / "opt/glance-sync"]
