# SPDX-License-Identifier: Apache-2.0
"""Each change is made once and taken back; what was changed since is not thrown away."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from glancesync.installation import changes, edits, system
from glancesync.installation.changes import Directory, Edit, File, Link
from glancesync.installation.manifest import Manifest
from glancesync.installation.removal import remove

STAMP = "2026-01-02T03:04:05Z"
CONF = "# Glance's\n[DEFAULT]\nx = y\n"


@pytest.fixture(autouse=True)
def _as_anybody(monkeypatch):
    for module in (changes, system):
        monkeypatch.setattr(module, "ids", lambda _owner, _group: (os.getuid(), os.getgid()))


@pytest.fixture
def host(tmp_path):
    (tmp_path / "etc").mkdir()
    conf = tmp_path / "etc/glance-api.conf"
    conf.write_text(CONF)
    conf.chmod(0o640)
    os.utime(conf, ns=(10**18, 10**18))
    return tmp_path


def steps(host: Path) -> list[changes.Change]:
    conf = host / "etc/glance-api.conf"
    return [Directory(path=host / "opt/programs", mode=0o755), Link(path=host / "opt/programs/bin", target="env/bin"),
            File(path=host / "etc/ours/server.conf", text="a = b\n", mode=0o640, keep=True),
            File(path=host / "etc/unit", text="[Unit]\n"),
            Edit(path=conf, text=edits.add_options(conf.read_text(), {"sync_enabled": "false", "password": "p"}))]


def install(host: Path) -> list[str]:
    done = []
    for change in steps(host):
        if not change.is_done():
            change.apply(Manifest(host / "record"), STAMP)
            done.append(change.describe())
        assert change.is_done(), change
    return done


def tree(host: Path) -> dict[str, object]:
    found = {}
    for path in sorted(host.rglob("*")):
        state = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else None
        found[str(path.relative_to(host))] = (state.st_mode, content, state.st_mtime_ns if path.is_file() else None)
    return found


def uninstall(host: Path, *, purge: bool = False) -> list[str]:
    return list(remove(Manifest(host / "record"), purge=purge, dry_run=False))


def test_there_and_back(host):
    before = tree(host)
    assert len(install(host)) == 5
    after = tree(host)
    assert install(host) == []
    assert tree(host) == after
    said = list(remove(Manifest(host / "record"), purge=False, dry_run=True))
    assert tree(host) == after, said
    uninstall(host)
    assert tree(host) == before


def test_what_was_changed_since_is_kept(host):
    install(host)
    (host / "etc/glance-api.conf").write_text((host / "etc/glance-api.conf").read_text().replace("x = y", "x = z"))
    (host / "etc/ours/server.conf").write_text("a = mine\n")
    (host / "opt/programs/more").touch()
    said = uninstall(host)
    assert (host / "etc/glance-api.conf").read_text() == CONF.replace("x = y", "x = z")
    assert (host / "etc/glance-api.conf").stat().st_mode & 0o777 == 0o640
    assert (host / "etc/ours/server.conf").read_text() == "a = mine\n"
    assert not (host / "etc/unit").exists()
    assert sum("--purge" in line for line in said) == 2
    uninstall(host, purge=True)
    assert sorted(tree(host)) == ["etc", "etc/glance-api.conf"]


def test_somebody_elses_file_comes_back(host):
    (host / "etc/unit").write_text("an older one\n")
    before = tree(host)
    install(host)
    uninstall(host)
    assert tree(host) == before


def test_a_folder_that_others_use_by_now_is_left(host):
    install(host)
    (host / "etc/ours/theirs").write_text("x")
    uninstall(host, purge=True)
    assert (host / "etc/ours/theirs").exists()


def test_an_upgrade_keeps_the_first_original(host):
    install(host)
    conf = host / "etc/glance-api.conf"
    Edit(path=conf, text=conf.read_text().replace("false", "true")).apply(Manifest(host / "record"), "later")
    File(path=host / "etc/unit", text="[Unit]\nnew\n").apply(Manifest(host / "record"), "later")
    uninstall(host)
    assert conf.read_text() == CONF
    assert not (host / "etc/unit").exists()


def test_no_password_is_shown(host):
    text = "\n".join(change.describe() for change in steps(host))
    assert "+password = ***" in text
    assert "+sync_enabled = false" in text


def test_a_command_says_what_it_said(tmp_path):
    with pytest.raises(system.InstallationError, match="cannot be run"):
        system.run([str(tmp_path / "nothing")])


def test_a_command_runs_until_its_mark_and_shows_what_it_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(changes, "run", lambda arguments, *, good: f"{arguments} {good}\n")
    step = changes.Command(arguments=["check"], what="look", mark=tmp_path / "mark", good=(0, 1))
    assert not step.is_done()
    step.apply(Manifest(tmp_path / "record"), STAMP)
    assert capsys.readouterr().out == "['check'] (0, 1)\n"
    assert step.is_done()
    assert not (tmp_path / "record").exists()
