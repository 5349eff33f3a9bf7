# SPDX-License-Identifier: Apache-2.0
"""What differs between two readings of the files, and the settings that follow it."""
from __future__ import annotations

from dataclasses import replace

import pytest

from glancesync import conf as options
from glancesync.conf.changes import list_changes
from glancesync.conf.given import read_given
from glancesync.conf.live import LiveSettings


@pytest.fixture
def given(tmp_path):
    def read(text):
        path = tmp_path / "glance-sync.conf"
        path.write_text(text)
        return read_given([f"--config-file={path}"], prog="glance-sync")

    return read


@pytest.mark.parametrize(("before", "after", "told"), [
    ("", "[worker]\nmax_tasks = 3\n", [("[worker] max_tasks = 3 (it was 16)", True)]),
    ("[worker]\nmax_tasks = 3\n", "", [("[worker] max_tasks = 16 (it was 3)", True)]),
    ("", "[worker]\nmax_tasks = 16\n", []),
    ("[worker]\nmax_tasks = 16\n", "[worker]\nmax-tasks=016\n", []),
    ("", "[DEFAULT]\nbind_port = 1\n", [("[DEFAULT] bind_port = 1 (it was 9595)", False)]),
    ("", "[DEFAULT]\ndebug = true\n", [("[DEFAULT] debug = True (it was False)", True)]),
    ("[keystone]\npassword = a\n", "[keystone]\npassword = b\n",
     [("[keystone] password = (secret) (it was (secret))", False)]),
    ("[keystone]\nusername = a\n", "[keystone]\nuser-name = a\n", []),
    ("", "[keystone_authtoken]\nusername = a\n", [("[keystone_authtoken] username = a (it was unset)", False)]),
])
def test_changes_are_told_by_name(given, before, after, told):
    assert [(str(each), each.at_once) for each in list_changes(given(before), given(after))] == told


def test_sections_follow_what_is_taken(tmp_path):
    path = tmp_path / "glance-sync.conf"
    path.write_text("")
    before = options.read_settings(options.parse([f"--config-file={path}"], prog="glance-sync"))
    live = LiveSettings(before)
    worker = live.sections.worker
    assert worker.max_tasks == 16
    live.take(replace(before, worker=replace(before.worker, max_tasks=3)))
    assert (worker.max_tasks, live.now.worker.max_tasks, before.worker.max_tasks) == (3, 3, 16)
    with pytest.raises(AttributeError, match="max_tasks"):
        worker.max_tasks = 5
    with pytest.raises(AttributeError, match="no_such"):
        worker.no_such  # noqa: B018 - reading is what fails
