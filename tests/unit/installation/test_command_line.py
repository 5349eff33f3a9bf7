# SPDX-License-Identifier: Apache-2.0
"""What a person is told: where Glance's files are looked for, what is refused, what is left to do."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from glancesync.installation import __main__ as installer
from glancesync.installation.layout import Layout, Request
from tests.unit.installation.test_checks import WELL


@pytest.mark.parametrize(("text", "found"), [
    ("[paste_deploy]\nconfig_file = /elsewhere/paste.ini\n", "/elsewhere/paste.ini"),
    ("[paste_deploy]\nconfig_file = other.ini\n", "{0}/other.ini"),
    ("[DEFAULT]\n", "{0}/glance-api-paste.ini"),
    ("nonsense\n", "{0}/glance-api-paste.ini"),
    (None, "{0}/glance-api-paste.ini"),
])
def test_the_paste_file_is_the_one_that_glance_reads(tmp_path, text, found):
    if text is not None:
        (tmp_path / "glance-api.conf").write_text(text)
    assert installer._paste_of(tmp_path / "glance-api.conf") == Path(found.format(tmp_path))


def test_a_failed_check_changes_nothing(tmp_path, capsys):
    status = installer.main(["install", "--source", ".", "--glance-conf", str(tmp_path / "none.conf"), "--glance-user",
                             "nobody-of-that-name"], Layout(root=tmp_path / "root"))
    said = capsys.readouterr().err
    assert (status, said.startswith("Nothing was changed:\n- ")) == (2, True), said
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_take_back(tmp_path, capsys):
    assert installer.main(["uninstall"], Layout(root=tmp_path)) == 2
    assert "Nothing was changed" in capsys.readouterr().err


def test_what_is_left_to_do(tmp_path):
    layout = Layout(root=tmp_path)
    layout.config.parent.mkdir(parents=True)
    conf = tmp_path / "glance-api.conf"
    request = Request(source=Path(), python=Path(), glance_conf=conf, glance_paste=Path(), glance_python=None)

    def said(server: str, glance: str, with_filter: bool = True) -> str:
        layout.config.write_text(server)
        conf.write_text(glance)
        asked = replace(request, with_filter=with_filter)
        return installer.next_steps(layout, asked, replace(WELL, glance_conf=glance))

    done = said("[keystone]\npassword = x\n", "[paste_deploy]\nflavor = keystone\n[glance_sync]\nsync_enabled = true\n")
    assert done.splitlines()[1:3] == ["1. Start the server: systemctl enable --now glance-sync.service",
                                      "2. Restart glance-api, as you always do."]
    much = said("[keystone]\npassword = CHANGE-ME\n", "[glance_sync]\nsync_enabled = false\n")
    for words in ("1. Put the service user's password", "set sync_enabled = true", "names no flavor"):
        assert words in much
    assert "glance-api" not in said("", "", with_filter=False)
