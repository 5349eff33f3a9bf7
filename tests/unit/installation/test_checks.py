# SPDX-License-Identifier: Apache-2.0
"""Whatever stands against an installation is named with a next step."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from glancesync.installation.checks import FREE_BYTES, problems
from glancesync.installation.facts import Facts, Python
from glancesync.installation.layout import Request

OLD = Python(path=Path("/usr/bin/python3"), version=(3, 9), has_venv=True, glance=None, library=Path("/lib"))
GOOD = replace(OLD, version=(3, 12), glance="33.0.0")
REQUEST = Request(source=Path("/src"), python=GOOD.path, glance_conf=Path("/etc/glance/glance-api.conf"),
                  glance_paste=Path("/etc/glance/paste.ini"), glance_python=GOOD.path)
WELL = Facts(is_root=True, python=GOOD, glance=GOOD, glance_conf="[DEFAULT]\n",
             glance_paste="[composite:api]\nkeystone = context rootapp\n", glance_user_exists=True, port_taken=False,
             is_installed=False, free_bytes={"/opt": 10**10, "/var": 10**10}, missing_programs=(), systemd_runs=False,
             server_runs=False)


def test_a_good_host():
    assert problems(WELL, REQUEST) == []


@pytest.mark.parametrize(("wrong", "words"), [
    ({"is_root": False}, "not root"),
    ({"python": None}, "no Python that runs"),
    ({"python": OLD}, "3.11 or newer"),
    ({"python": replace(GOOD, is_for_all=False)}, "PYTHON=/usr/bin/python3"),
    ({"python": replace(GOOD, has_venv=False)}, "install python3-venv"),
    ({"glance": None}, "--glance-python"),
    ({"glance": replace(GOOD, glance=None)}, "has no Glance"),
    ({"glance": replace(GOOD, glance="27.1.0")}, "upgrade Glance first"),
    ({"glance": replace(GOOD, version=(3, 10))}, "Glance runs on Python 3.10"),
    ({"glance_user_exists": False}, "--glance-user"),
    ({"glance_conf": None}, "--glance-conf"),
    ({"glance_conf": "nonsense\n"}, "is no configuration file"),
    ({"glance_paste": "[composite:api]\ndefault = rootapp\n"}, "has no pipeline"),
    ({"port_taken": True}, "port 9595"),
    ({"free_bytes": {"/opt": 1, "/var": 10**10}}, f"{FREE_BYTES['programs'] >> 20} MiB are needed"),
    ({"missing_programs": ("useradd",)}, "useradd is missing"),
])
def test_each_problem_is_named(wrong, words):
    found = problems(replace(WELL, **wrong), REQUEST)
    assert len(found) == 1, found
    assert words in found[0]


def test_our_own_server_may_have_the_port():
    assert problems(replace(WELL, port_taken=True, is_installed=True), REQUEST) == []


def test_a_cascaded_glance_needs_no_port_and_registers_locations():
    cascaded = replace(REQUEST, cascaded=True)
    assert problems(replace(WELL, port_taken=True), cascaded) == []
    [found] = problems(replace(WELL, glance=replace(GOOD, glance="28.1.0")), cascaded)
    assert "29 and later" in found
    [found] = problems(replace(WELL, glance=None), cascaded)
    assert found == "no Glance was found: name the Python that runs glance-api with --glance-python"


def test_without_the_filter_glance_is_not_looked_at():
    assert problems(replace(WELL, glance=None, glance_paste=None), replace(REQUEST, with_filter=False)) == []
