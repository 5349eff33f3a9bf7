# SPDX-License-Identifier: Apache-2.0
"""Glance's files are changed in place and come back to the letter, whatever else was changed between."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest
from oslo_config import cfg

from glancesync.installation import edits
from glancesync.lab.glance import installed_paste_file

PASTE = installed_paste_file(Path(sys.executable))
REAL = {"paste": PASTE.read_text(), "conf": PASTE.with_name("glance-api.conf").read_text()}
OPTIONS = {"sync_enabled": "false", "password": "CHANGE-ME"}
SMALL_PASTE = ("# a comment\n[composite:api]\npaste.composite_factory = glance.api:pipeline_factory\n"
               "default = context rootapp\nkeystone  =  cors authtoken context rootapp\n\n[app:x]\na = b\n")


def test_glances_own_paste_file():
    changed = edits.add_filter(REAL["paste"])
    for line in changed.splitlines():
        if line.startswith("keystone"):
            assert line.endswith(" glancesync rootapp"), line
        elif line.startswith(("default", "caching")):
            assert "glancesync" not in line
    assert f"[filter:glancesync]\npaste.filter_factory = {edits.REPORTER.factory}\n" in changed
    assert edits.names_filter(changed)
    assert edits.add_filter(changed) == changed
    assert edits.remove_filter(changed) == REAL["paste"]


def test_glances_own_configuration():
    changed = edits.add_options(REAL["conf"], OPTIONS)
    assert changed.startswith(REAL["conf"])
    assert edits.get(changed, edits.SECTION, "sync_enabled") == "false"
    assert edits.add_options(changed, {"sync_enabled": "true"}) == changed
    assert edits.remove_options(changed) == REAL["conf"]


@pytest.mark.parametrize("text", ["", "\n", "[DEFAULT]\na = b", "[DEFAULT]\na = b\n\n\n", "# only a comment",
                                  "[DEFAULT]\na = b\n a continued line\n"])
def test_ends_of_files(text):
    changed = edits.add_options(text, OPTIONS)
    assert edits.get(changed, edits.SECTION, "password") == "CHANGE-ME"
    assert edits.remove_options(changed) == text


def test_odd_spaces_stay():
    changed = edits.add_filter(SMALL_PASTE)
    assert "keystone  =  cors authtoken context glancesync rootapp\n" in changed
    assert "default = context rootapp\n" in changed
    assert edits.remove_filter(changed) == SMALL_PASTE


def test_what_was_changed_since_is_kept():
    changed = edits.add_options("[DEFAULT]\na = b\n", OPTIONS)
    since = changed.replace("a = b", "a = c").replace("CHANGE-ME", "pw\n\n# where it is\ncafile = /ca.pem") + (
        "# about the next one\n[later]\nd = e\n")
    assert edits.remove_options(since) == "[DEFAULT]\na = c\n# about the next one\n[later]\nd = e\n"


def test_what_the_administrator_put_there_is_not_ours():
    own = "[glance_sync]\nsync_enabled = true\n"
    assert edits.add_options(own, OPTIONS) == own
    assert edits.remove_options(own) == own
    by_hand = SMALL_PASTE.replace("context rootapp\n\n", "context glancesync rootapp\n\n[filter:glancesync]\n"
                                  f"paste.filter_factory = {edits.REPORTER.factory}\n\n")
    assert edits.add_filter(by_hand) == by_hand
    assert edits.remove_filter(by_hand) == by_hand


def test_the_store_filter_beside_the_other():
    both = edits.add_filter(edits.add_filter(REAL["paste"]), edits.STORE)
    assert "context glancesync glancesync-store rootapp\n" in both
    assert "\nrole = glance_sync_store\n" in both
    assert edits.names_filter(edits.remove_filter(both))
    assert edits.remove_filter(edits.remove_filter(both, edits.STORE)) == REAL["paste"]
    assert edits.remove_all(both) == edits.remove_filter(edits.remove_filter(both), edits.STORE) == REAL["paste"]


def test_a_path_for_locks_unless_there_is_one():
    changed = edits.add_lock_path(REAL["conf"], "/locks")
    assert changed.startswith(REAL["conf"])
    assert "[oslo_concurrency]\nlock_path = /locks\n" in changed
    assert edits.add_lock_path(changed, "/others") == changed
    assert edits.remove_all(changed) == REAL["conf"]
    own = "[oslo_concurrency]\nlock_path = /own\n"
    assert edits.add_lock_path(own, "/locks") == edits.remove_all(own) == own


def test_oslo_config_reads_both_sections_of_a_name(tmp_path):
    path = tmp_path / "glance-api.conf"
    path.write_text(edits.add_lock_path("[oslo_concurrency]\ndisable_process_locking = true\n", "/locks"))
    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.BoolOpt("disable_process_locking"), cfg.StrOpt("lock_path")], group="oslo_concurrency")
    conf([f"--config-file={path}"])
    assert (conf.oslo_concurrency.disable_process_locking, conf.oslo_concurrency.lock_path) == (True, "/locks")


@pytest.mark.parametrize("text", ["", "[composite:api]\ndefault = context rootapp\n", "[pipeline:glance-api-keystone]\n"
                                  "pipeline = cors authtoken context rootapp\n", "no section\n"])
def test_what_is_no_paste_file_of_glance_is_refused(text):
    with pytest.raises(edits.EditError):
        edits.add_filter(text)


def test_values_are_filled_in_with_comments_kept():
    text = "# top\n[keystone]\n# who\nusername = x\npassword = CHANGE-ME\n"
    filled = edits.fill(text, {("keystone", "password"): "a$b", ("DEFAULT", "log_file"): "/x"})
    assert filled.startswith("# top\n[keystone]\n# who\nusername = x\npassword = a$$b\n")
    assert edits.get(filled, "DEFAULT", "log_file") == "/x"
