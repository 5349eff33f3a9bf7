# SPDX-License-Identifier: Apache-2.0
"""docs/commands.md has every command, and the statuses that it promises."""
from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib.metadata import entry_points

import pytest

from glancesync.cmd import lab, manage
from tests.fixtures.doc_commands import ROOT

PAGE = (ROOT / "docs/commands.md").read_text("utf-8")
ARGUMENTS = {"image show": ["0b0a7ad1-0000-4000-8000-000000000001"],
             **{f"region {verb}": ["Two"] for verb in ("release", "show", "freeze", "thaw")},
             "db copy": ["--to-config-file", "new.conf"],
             "store explain": ["0b0a7ad1-0000-4000-8000-000000000001", "Two"],
             "conflict choose": ["0b0a7ad1-0000-4000-8000-000000000001", "Two", "skip"]}


def manage_commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command, by its words."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield " ".join(words)
    for group in groups:
        for name, each in group.choices.items():
            yield from manage_commands(each, (*words, name))


MANAGE = sorted(manage_commands(manage._parser()))


def test_every_command_has_its_row() -> None:
    ours = [f"openstack {each.name.replace('_', ' ')}" for each in entry_points(group="openstack.image_sync.v1")]
    labs = [f"glance-sync-lab {name}" for name in manage_commands(lab._parser())]
    for command in [*ours, *labs, *(f"glance-sync-manage {name}" for name in MANAGE)]:
        assert re.search(rf"^\| `{re.escape(command)}\b", PAGE, re.MULTILINE), f"docs/commands.md lacks {command}"


@pytest.mark.parametrize("name", MANAGE)
def test_a_wrong_configuration_is_two(name: str, tmp_path, capsys) -> None:
    path = tmp_path / "wrong.conf"
    path.write_text("[DEFAULT]\nbind_prot = 1\n")
    words = [*name.split(), *ARGUMENTS.get(name, [])]
    assert manage.main([f"--config-file={path}", *words]) == 2
    said = capsys.readouterr()
    assert "bind_port" in said.err + said.out


@pytest.mark.parametrize("name", MANAGE)
def test_wrong_usage_is_two(name: str) -> None:
    with pytest.raises(SystemExit) as ended:
        manage.main([*name.split(), "--nonsense"])
    assert ended.value.code == 2


@pytest.mark.parametrize("name", [name for name in MANAGE if name not in ("db sync", "config show", "upgrade check")])
def test_no_database_is_one(name: str, tmp_path, capsys) -> None:
    path = tmp_path / "right.conf"
    path.write_text(f"[DEFAULT]\ncascading_region = RegionOne\n[database]\nconnection = sqlite:///{tmp_path}/none.db\n"
                    "[keystone]\nauth_type = password\nauth_url = http://127.0.0.1:1/v3\nusername = x\npassword = x\n"
                    "project_name = x\nuser_domain_name = Default\nproject_domain_name = Default\n"
                    "[keystone_authtoken]\nauth_type = password\nauth_url = http://127.0.0.1:1/v3\nusername = x\n"
                    "password = x\nproject_name = x\nuser_domain_name = Default\nproject_domain_name = Default\n")
    assert manage.main([f"--config-file={path}", *name.split(), *ARGUMENTS.get(name, [])]) == 1
    said = capsys.readouterr()
    assert "glance-sync-manage db sync" in said.err + said.out
