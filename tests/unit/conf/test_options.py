# SPDX-License-Identifier: Apache-2.0
"""Options are read once into frozen settings; what is wrong is refused by name; the sample is generated."""
from __future__ import annotations

from pathlib import Path

import pytest

from glancesync import conf as options
from glancesync.exceptions import ConfigurationError

SAMPLE = Path(__file__).parents[3] / "etc" / "glance-sync.conf.sample"


def parse(tmp_path, text):
    path = tmp_path / "glance-sync.conf"
    path.write_text(text)
    return options.read_settings(options.parse([f"--config-file={path}"], prog="glance-sync"))


def test_defaults_are_safe(tmp_path):
    settings = parse(tmp_path, "")
    assert (settings.server.bind_host, settings.server.bind_port) == ("127.0.0.1", 9595)
    assert (settings.sync.sync_strategy, settings.worker.task_retry_times) == ("ALL", 0)
    assert not settings.deletion.delete_adopted


@pytest.mark.parametrize(("text", "name"), [
    ("[DEFAULT]\nbind_port = 0\n", "bind_port"),
    ("[DEFAULT]\nsync_strategy = SOME\n", "sync_strategy"),
    ("[worker]\nlease_seconds = 1\n", "lease_seconds"),
    ("[deletion]\nmax_deletes_percent = 101\n", "max_deletes_percent"),
    ("[transfer]\nchunk_bytes = many\n", "chunk_bytes"),
])
def test_a_wrong_value_is_refused_by_name(tmp_path, text, name):
    with pytest.raises(ConfigurationError, match=name):
        parse(tmp_path, text)


def test_a_missing_file_is_named():
    with pytest.raises(ConfigurationError, match="/does/not/exist"):
        options.parse(["--config-file=/does/not/exist"], prog="glance-sync")


@pytest.mark.parametrize("value", ["none", "None", "all", "ALL"])
def test_strategies_in_any_case(tmp_path, value):
    assert parse(tmp_path, f"[DEFAULT]\nsync_strategy = {value}\n").sync.sync_strategy.lower() == value.lower()


def test_the_shipped_example_is_accepted():
    example = SAMPLE.parent / "glance-sync.conf"
    conf = options.parse([f"--config-file={example}"], prog="glance-sync")
    assert options.read_settings(conf).sync.cascading_region == "RegionOne"


def test_the_help_says_what_the_program_is_and_its_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options.parse(["--help"], prog="glance-sync", description="What it is.", epilog="Exit status: 0.")
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.index("What it is.") < said.index("options:") < said.index("Exit status: 0.")


@pytest.mark.parametrize(("given", "name", "value"), [
    ("[DEFAULT]\nglance_store_cfg_file = /a.yaml", "config_file", "/a.yaml"),
    ("[DEFAULT]\nscp_copy_timeout = 60", "scp_copy_timeout_seconds", 60.0),
    ("[stores]\nscp_copy_timeout = 61", "scp_copy_timeout_seconds", 61.0),
    ("[DEFAULT]\nnum_shell_tries = 7", "num_shell_tries", 7),
])
def test_the_originals_names_of_the_stores_options_are_taken(tmp_path, given, name, value):
    assert getattr(parse(tmp_path, given + "\n").stores, name) == value
