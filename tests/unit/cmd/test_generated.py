# SPDX-License-Identifier: Apache-2.0
"""Everything that is made of the code is as the code says."""
from __future__ import annotations

from pathlib import Path

import pytest

from glancesync.api.routes import ROUTES
from glancesync.cmd import generated
from glancesync.conf.listing import list_opts

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", generated.FILES)
def test_up_to_date(name):
    assert (ROOT / name).read_text("utf-8") == generated.FILES[name](), "python -m glancesync.cmd.generated"


def test_the_command_writes_what_differs_and_says_so(tmp_path, capsys):
    for name in generated.FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
    stale = tmp_path / "docs/api.md"
    stale.write_text("old")
    assert generated.main(["--root", str(tmp_path), "--check"]) == 1
    assert stale.read_text() == "old"
    assert generated.main(["--root", str(tmp_path)]) == 0
    assert f"wrote {stale}" in capsys.readouterr().out
    assert generated.main(["--root", str(tmp_path), "--check"]) == 0
    assert capsys.readouterr().out == ""


def test_nothing_is_left_out():
    page = generated.FILES["docs/configuration.md"]()
    for _section, opts in list_opts():
        for opt in opts:
            assert f"| `{opt.name.replace('-', '_')}` |" in page
    page = generated.FILES["docs/api.md"]()
    for route in ROUTES:
        assert f"## {route.method} {route.path}\n" in page
