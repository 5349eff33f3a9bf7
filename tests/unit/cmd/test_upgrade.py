# SPDX-License-Identifier: Apache-2.0
"""What `upgrade check` finds, and what `config show` shows and hides."""
from __future__ import annotations

import sqlite3

import pytest

from glancesync.cmd import manage, upgrade
from tests.fixtures.next_version import bring_to_next

SECRET = "p4ssw0rd-of-the-service"


@pytest.fixture
def conf(tmp_path):
    tmp_path.chmod(0o700)
    path = tmp_path / "glance-sync.conf"

    def write(text: str = "", policy: str | None = None) -> str:
        if policy is not None:
            (tmp_path / "policy.yaml").write_text(policy)
            text += f"[oslo_policy]\npolicy_file = {tmp_path}/policy.yaml\n"
        path.write_text(f"[DEFAULT]\ncascading_region = RegionOne\n{text}[database]\n"
                        f"connection = sqlite:///{tmp_path}/state.db\n")
        path.chmod(0o640)
        return f"--config-file={path}"

    return write


def check(given: str, capsys) -> tuple[int, str]:
    status = manage.main([given, "upgrade", "check"])
    return status, " ".join(capsys.readouterr().out.replace("|", " ").split())


def test_all_is_well(conf, capsys):
    given = conf()
    manage.main([given, "db", "sync"])
    status, said = check(given, capsys)
    assert status == 0, said
    assert said.count("Result: Success") == len(upgrade.Checks._upgrade_checks)


def test_no_database_yet_is_only_said_and_none_is_made(conf, capsys, tmp_path):
    status, said = check(conf(), capsys)
    assert (status, "run glance-sync-manage db sync" in said) == (1, True)
    assert not (tmp_path / "state.db").exists()


@pytest.mark.parametrize(("revision", "status", "words"), [
    ("0002", 1, "stop every server first, because 0004 takes away what they need"),
    ("0005", 1, "the tables are at 0005"), ("0005", 1, "may go on meanwhile"),
    ("9999", 2, "does not say that it serves this one")])
def test_tables_of_another_version(conf, capsys, tmp_path, revision, status, words):
    given = conf()
    manage.main([given, "db", "sync"])
    with sqlite3.connect(tmp_path / "state.db") as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        database.execute("DELETE FROM facts")
    database.close()
    assert check(given, capsys)[0] == status
    assert words in check(given, capsys)[1]


@pytest.mark.parametrize(("contracts", "status", "words"), [
    (False, 0, "the tables are at 9999, a newer program's, and serve this one too"),
    (True, 2, "serves programs from version 9999 on")])
def test_tables_of_the_next_version(conf, capsys, tmp_path, contracts, status, words):
    given = conf()
    manage.main([given, "db", "sync"])
    bring_to_next(f"sqlite:///{tmp_path}/state.db", tmp_path, contracts=contracts)
    found, said = check(given, capsys)
    assert (found, words in said) == (status, True), said


def test_an_option_that_is_gone(conf, capsys):
    status, said = check(conf("scp_copy_user = glance\n"), capsys)
    assert (status, "there is no option scp_copy_user" in said) == (2, True)


@pytest.mark.parametrize(("policy", "status", "words"), [
    ("'images:list': role:reader\n", 0, ""),
    ("'images:lits': role:reader\n", 1, "nothing reads: images:lits"),
    ("'images:list': rule:mine\nmine: role:reader\n", 0, ""),
    ('{"images:list": "role:reader"}', 2, "is JSON"),
    ("'images:list': [\n", 2, "is broken"),
])
def test_policy_files(conf, capsys, policy, status, words):
    given = conf(policy=policy)
    manage.main([given, "db", "sync"])
    found, said = check(given, capsys)
    assert (found, words in said) == (status, True), said


def test_modes(conf, capsys, tmp_path):
    given = conf()
    manage.main([given, "db", "sync"])
    (tmp_path / "glance-sync.conf").chmod(0o644)
    status, said = check(given, capsys)
    assert (status, "glance-sync.conf (0644)" in said) == (1, True), said


def test_packages(conf, capsys, monkeypatch):
    given = conf()
    manage.main([given, "db", "sync"])
    monkeypatch.setattr(upgrade.metadata, "requires", lambda _name: ["alembic>=999", "nothing-of-that-name",
                                                                     "other>=1; extra == 'lab'"])
    status, said = check(given, capsys)
    assert (status, "alembic" in said, "nothing-of-that-name is missing" in said) == (2, True, True)
    assert "other" not in said


def test_config_show_names_origins_and_hides_secrets(conf, capsys, tmp_path, monkeypatch):
    given = conf(f"bind_port = 9600\n[keystone]\nusername = sync\npassword = {SECRET}\n[oslo_policy]\n"
                 "enforce_new_defaults = true\n")
    monkeypatch.setenv("OS_WORKER__MAX_TASKS", "7")
    assert manage.main([given, "config", "show"]) == 0
    shown = capsys.readouterr().out
    rows = dict(line.split(" = ", 1) for line in shown.splitlines() if " = " in line)
    assert rows["bind_port"].split("#") == [rows["bind_port"].split("#")[0], f" {tmp_path}/glance-sync.conf"]
    assert rows["bind_port"].startswith("9600 ")
    assert (rows["bind_host"].split()[0], rows["bind_host"].split()[-1]) == ("127.0.0.1", "default")
    assert rows["max_tasks"].split() == ["7", "#", "environment", "variable", "OS_WORKER__MAX_TASKS"]
    assert rows["password"].startswith("***")
    assert rows["connection"].startswith("***")
    assert "enforce_new_defaults" in rows
    assert "enforce_scope" not in shown
    assert SECRET not in shown
    assert manage.main([given, "config", "show", "--all"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > len(shown.splitlines())
