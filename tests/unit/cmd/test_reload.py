# SPDX-License-Identifier: Apache-2.0
"""A reload puts all of the new configuration in force, or none, and says which."""
from __future__ import annotations

import logging

import pytest

from glancesync import conf as options
from glancesync.cmd.build import build
from glancesync.cmd.reload import Reloader, prepare_stores, tell_chores
from glancesync.conf.live import LiveSettings
from glancesync.stores.book import StoreBook
from glancesync.tasks.worker import Worker

START = "[DEFAULT]\ncascading_region = R\n"


class Bench:
    def __init__(self, path):
        self.path = path
        path.write_text(START)
        arguments = [f"--config-file={path}"]
        conf = options.parse(arguments, prog="glance-sync")
        self.live = LiveSettings(options.read_settings(conf))
        self.told = []
        self._reloader = Reloader(arguments=arguments, prog="glance-sync", conf=conf, live=self.live,
                                  told=[lambda before, after: self.told.append((before, after))])

    def reload(self, text):
        self.path.write_text(START + text)
        return self._reloader.reload()


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path / "glance-sync.conf")


def test_what_can_change_changes_and_the_rest_is_named(bench, caplog):
    caplog.set_level(logging.INFO)
    before = bench.live.now
    assert bench.reload("bind_port = 1\nreconcile_interval_seconds = 7\n[worker]\nmax_tasks = 3\nlease_seconds = 9\n")
    now = bench.live.now
    assert (now.reconcile.reconcile_interval_seconds, now.worker.max_tasks) == (7, 3)
    assert (now.server.bind_port, now.worker.lease_seconds) == (9595, 30)
    assert bench.told == [(before, now)]
    assert [record.getMessage() for record in caplog.records] == [
        "reloaded: [DEFAULT] reconcile_interval_seconds = 7 (it was 1200)",
        "reloaded: [worker] max_tasks = 3 (it was 16)",
        "not reloaded, needs a restart: [DEFAULT] bind_port = 1 (it was 9595)",
        "not reloaded, needs a restart: [worker] lease_seconds = 9.0 (it was 30)",
        "the configuration was reloaded: 2 options changed, 2 need a restart"]


def test_back_again(bench, caplog):
    bench.reload("[worker]\nmax_tasks = 3\n")
    caplog.clear()
    caplog.set_level(logging.INFO)
    assert bench.reload("")
    assert bench.live.now.worker.max_tasks == 16
    assert [record.getMessage() for record in caplog.records] == [
        "reloaded: [worker] max_tasks = 16 (it was 3)",
        "the configuration was reloaded: 1 options changed, 0 need a restart"]


@pytest.mark.parametrize(("text", "words"), [
    ("[worker]\nmax_tasks = 3\npoll_seconds = never\n", "poll_seconds = never in [worker] is wrong"),
    ("[worker]\nmax_tasks = 3\n[wroker]\na = 1\n", "there is no section [wroker]"),
    ("[worker]\nmax_tasks = 3\n[", "is no configuration file"),
])
def test_a_broken_file_changes_nothing(bench, caplog, text, words):
    caplog.set_level(logging.INFO)
    before = bench.live.now
    assert not bench.reload(text)
    assert (bench.live.now, bench.told) == (before, [])
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "all of the old one stays in force" in record.getMessage()
    assert words in record.getMessage()


def test_a_file_that_is_gone_changes_nothing(bench):
    bench.path.unlink()
    before = bench.live.now
    assert not bench._reloader.reload()
    assert bench.live.now is before


def test_every_option_that_may_change_is_read_through_the_live_settings(tmp_path):
    """A component that keeps a number of its own would not see the change."""
    path = tmp_path / "glance-sync.conf"
    path.write_text(START + f"[database]\nconnection = sqlite:///{tmp_path}/x.db\n[keystone]\nauth_type = none\n"
                    "[keystone_authtoken]\nauth_type = none\n")
    server = build(options.parse([f"--config-file={path}"], prog="glance-sync"))
    sections = server.live.sections
    chores = [chore.run.__self__ for chore in server.chores._chores]
    assert len(chores) == 4
    for part in (server.worker, server.region_timer, server.directory, server.trust, server.trust.brake, *chores):
        assert any(part._settings is section for section in vars(sections).values()), part
    assert isinstance(server.worker, Worker)
    assert not server.live.now == sections


def test_rules_about_images_are_reloaded_and_shown(bench, caplog):
    caplog.set_level(logging.INFO)
    assert bench.reload("leave_alone = name=a  visibility!=public\n")
    assert caplog.records[0].getMessage() == (
        "reloaded: [DEFAULT] leave_alone = name=a visibility!=public (it was unset)")
    assert len(bench.live.now.sync.leave_alone.rules) == 1
    caplog.clear()
    assert not bench.reload("leave_alone = nome=a\n")
    assert len(bench.live.now.sync.leave_alone.rules) == 1


@pytest.mark.parametrize(("text", "compares"), [
    ("sync_strategy = USER\n", True), ("[strategy]\nrole_regions = member=Two; x=\n", True),
    ("[strategy]\ndisallowed_replicas = hidden\n", True), ("[worker]\nmax_tasks = 3\n", False)])
def test_what_decides_about_regions_is_compared_by_at_once(bench, text, compares):
    asked = []
    assert bench.reload(text)
    tell_chores(lambda: asked.append("compare"))(*bench.told[0])
    assert asked == ["compare"] * compares


def test_what_is_named_beside_the_files_belongs_to_them(tmp_path, caplog):
    """A wrong glance_store.yaml keeps all of the old configuration; a right one is put in force with the rest."""
    path, stores = tmp_path / "glance-sync.conf", tmp_path / "glance_store.yaml"
    text = START + f"[stores]\nconfig_file = {stores}\n"
    path.write_text(text)
    stores.write_text("glances: [{name: a, region: R, schemes: []}]\n")
    stores.chmod(0o600)
    arguments = [f"--config-file={path}"]
    conf = options.parse(arguments, prog="glance-sync")
    live, book = LiveSettings(options.read_settings(conf)), StoreBook(lambda: [])
    book.take(book.read(live.now.stores.config_file))
    reloader = Reloader(arguments=arguments, prog="glance-sync", conf=conf, live=live, told=[],
                        prepared=[prepare_stores(book)])
    before = book.config
    path.write_text(text + "[worker]\nmax_tasks = 3\n")
    stores.write_text("glances: [{name: a, region: R, schemes: [], colour: red}]\n")
    assert not reloader.reload()
    assert (book.config, live.now.worker.max_tasks) == (before, 16)
    assert f"{stores}, line 1, glances[0].colour: is no known key" in caplog.text
    stores.write_text("glances: [{name: b, region: R, schemes: []}]\n")
    assert reloader.reload()
    assert (book.config.glances[0].name, live.now.worker.max_tasks) == ("b", 3)
    path.write_text(START)
    assert reloader.reload()
    assert book.config.glances == ()
