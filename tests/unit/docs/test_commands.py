# SPDX-License-Identifier: Apache-2.0
"""Every command that the documentation shows is run, taken by its program's parser, or excused with a reason."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures import doc_commands
from tests.fixtures.doc_commands import OTHER_LANGUAGES, PAGES, blocks, inline_commands, problem


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page: Path) -> None:
    wrong = [block for block in blocks(page) if block.language not in ("bash", *OTHER_LANGUAGES)]
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_block_is_taken_run_or_excused(page: Path) -> None:
    found = {(block.line, command): problem(command) for block in blocks(page)
             if block.language == "bash" and block.how == "checked" for command in block.commands}
    assert {key: said for key, said in found.items() if said} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_running_text_is_taken(page: Path) -> None:
    found = {command: problem(command) for command in inline_commands(page)}
    assert {key: said for key, said in found.items() if said} == {}


@pytest.mark.parametrize(("command", "words"), [
    ("glance-sync-manage db snyc", "invalid choice"),
    ("glance-sync-manage reconcile --regoin R", "unrecognized"),
    ("openstack image sync statsu", "has no command"),
    ("openstack image sync run --wiat", "unrecognized"),
    ("openstack --os-cloud x image sync wait", "required"),
    ("bash installation/instal.sh", "there is no"),
    ("sudo bash installation/install.sh --dryrun", "unrecognized"),
    ("python -m glancesync.cmd.nothing", "there is no"),
    ("pip install '.[clii]'", "no such extra"),
    ("rm -rf x", "no program that is checked"),
])
def test_wrong_commands_are_found(command: str, words: str) -> None:
    assert words in (problem(command) or "")


def test_notes_before_a_block(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```\nx\n```\n<!-- run -->\n\n```bash\n# a word\na \\\n  b\n```\n1. x\n\n   <!-- not run: why -->\n"
                    "   ```bash\n   c\n   ```\n<!-- not run: -->\n```bash\nd\n```\n")
    assert [(block.language, block.how, block.commands) for block in blocks(page)] == [
        ("", "checked", ("x",)), ("bash", "run", ("a    b",)), ("bash", "excused", ("c",)),
        ("bash", "checked", ("d",))]
    page.write_text("`glance-sync-manage db snyc` and `openstack image sync ...`, `x y`, `glance-sync`")
    assert inline_commands(page) == ["glance-sync-manage db snyc"]
    assert doc_commands.ROOT.joinpath("README.md").exists()
