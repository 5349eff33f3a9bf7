# SPDX-License-Identifier: Apache-2.0
"""What a worker refuses to start with. Nothing is connected to."""
from __future__ import annotations

from pathlib import Path

import pytest

from glancesync.cmd import working

_USER = ("auth_type = password\nauth_url = http://127.0.0.1:1/v3\nusername = x\npassword = x\nproject_name = x\n"
         "user_domain_name = Default\nproject_domain_name = Default\n")
_URL = "amqp://sync:s3cret@127.0.0.1:1//"
_POSTGRESQL = "postgresql+psycopg2://u@127.0.0.1:1/x"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's log stays as it is."""
    monkeypatch.setattr(working.log, "setup", lambda *_arguments, **_options: None)
    monkeypatch.setattr(working, "arrange_logs", lambda _conf: None)


def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], *, worker: str, celery: str = "",
            connection: str = _POSTGRESQL) -> str:
    path = tmp_path / "glance-sync.conf"
    path.write_text(f"[DEFAULT]\ncascading_region = RegionOne\n[database]\nconnection = {connection}\n[keystone]\n"
                    f"{_USER}[keystone_authtoken]\n{_USER}[worker]\n{worker}\n[celery]\n{celery}\n")
    assert working.run([f"--config-file={path}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("glance-sync-worker: ")
    assert "s3cret" not in said
    return said


def test_where_the_servers_run_the_tasks_it_has_nothing_to_do(tmp_path: Path,
                                                              capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(tmp_path, capsys, worker="engine = local")
    assert "the servers run the tasks themselves" in said


def test_no_broker_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "needs [celery] broker_url" in refused(tmp_path, capsys, worker="engine = celery")


def test_a_database_of_one_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(tmp_path, capsys, worker="engine = celery", celery=f"broker_url = {_URL}",
                   connection=f"sqlite:///{tmp_path}/x.db")
    assert "needs a database that several processes share" in said


def test_options_of_celery_that_lose_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(tmp_path, capsys, worker="engine = celery",
                   celery=f"broker_url = {_URL}\nsettings = task_acks_late:true")
    assert "task_acks_late = true is refused, it has to be False" in said


@pytest.mark.parametrize("option", ["--pool=prefork", "--autoscale=10,3", "--acks-late"])
def test_celerys_own_arguments_are_no_arguments(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        working.run([option])
    assert ended.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err
