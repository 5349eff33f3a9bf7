# SPDX-License-Identifier: Apache-2.0
"""The administrator's commands as a person uses them."""
from __future__ import annotations

import pytest

from glancesync.clock import ManualClock
from glancesync.cmd import manage
from glancesync.db.engine import Database
from glancesync.model.image import Digest, Image
from glancesync.model.replica import IdReason, Origin, ReplicaState
from glancesync.sync.records import ReplicaRecords
from tests.fixtures.memory_cloud import MemoryCloud

IMAGE_ID = "0b0a7ad1-0000-4000-8000-000000000001"
REPLICA_ID = "0b0a7ad1-0000-4000-8000-000000000002"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "glance-sync.conf"
    path.write_text(f"[DEFAULT]\ncascading_region = RegionOne\n[database]\nconnection = sqlite:///{tmp_path}/state.db\n")
    return f"--config-file={path}"


def test_db_sync_makes_the_tables_once(config, capsys):
    assert manage.main([config, "db", "version"]) == 1
    assert manage.main([config, "db", "sync"]) == 0
    assert "it was at nothing" in capsys.readouterr().out
    assert manage.main([config, "db", "sync"]) == 0
    assert "it was at" not in capsys.readouterr().out
    assert manage.main([config, "db", "version"]) == 0


def test_image_show_resolves_both_ids_and_prints_no_escapes(config, capsys, tmp_path):
    manage.main([config, "db", "sync"])
    database = Database(f"sqlite:///{tmp_path}/state.db")
    records = ReplicaRecords(database, ManualClock())
    records.note_image(Image(id=IMAGE_ID, status="active", name="evil\x1b[2J", owner="demo"), now=1.0)
    records.update(IMAGE_ID, "RegionTwo", state=ReplicaState.IN_SYNC, replica_id=REPLICA_ID, origin=Origin.CREATED,
                   reason="differs in property \x1b[2J", id_reason=IdReason.ID_BURNED,
                   digest=Digest(algorithm="sha512", value="ab" * 64))
    database.close()
    capsys.readouterr()
    for given in (IMAGE_ID, REPLICA_ID):
        assert manage.main([config, "image", "show", given]) == 0
        output = capsys.readouterr().out
        assert IMAGE_ID in output
        assert f"RegionTwo: in_sync as {REPLICA_ID} (id_burned)" in output
        assert "\x1b" not in output


def test_an_unknown_image_is_named(config, capsys):
    manage.main([config, "db", "sync"])
    assert manage.main([config, "image", "show", IMAGE_ID]) == 1
    assert IMAGE_ID in capsys.readouterr().err


def test_a_condition_that_is_none_is_named_before_anything_is_asked(config, capsys):
    with pytest.raises(SystemExit) as ended:
        manage.main([config, "reconcile", "--filter", "nome=50%"])
    assert ended.value.code == 2
    assert "'nome=50%' is no condition; allowed are rules" in capsys.readouterr().err


def test_a_wrong_configuration_is_named(tmp_path, capsys):
    path = tmp_path / "wrong.conf"
    path.write_text("[DEFAULT]\nbind_prot = 1\n")
    assert manage.main([f"--config-file={path}", "db", "version"]) == 2
    assert "did you mean bind_port" in capsys.readouterr().err


def test_usage_is_an_error_of_its_own():
    with pytest.raises(SystemExit) as ended:
        manage.main(["nonsense"])
    assert ended.value.code == 2


def test_conflicts_are_listed_page_by_page_and_decided(config, capsys, tmp_path, monkeypatch):
    cloud = MemoryCloud(tmp_path)
    monkeypatch.setattr(manage, "_open", lambda _conf: cloud)
    monkeypatch.setattr(manage, "_PAGE", 2)
    images = [cloud.upload(b"data") for _ in range(3)]
    for image in images:
        cloud.upload(b"other", region=cloud.two, id=image.id)
    cloud.compare()
    assert manage.main([config, "conflict", "list", "--region", "Two"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [[each, "Two", "conflict:"] for each in sorted(
        image.id for image in images)]
    assert all("differs in size, os_hash, bytes" in line for line in lines)

    chosen = images[0].id
    assert manage.main([config, "conflict", "choose", chosen, "Two", "new_id", "--replica-id", REPLICA_ID]) == 1
    assert "look again" in capsys.readouterr().err
    assert manage.main([config, "conflict", "choose", chosen, "Two", "new_id"]) == 0
    cloud.work()
    assert cloud.record(chosen).id_reason is IdReason.CONFLICT
    assert manage.main([config, "conflict", "choose", chosen, "Two", "skip"]) == 1
    assert "nothing to choose" in capsys.readouterr().err
