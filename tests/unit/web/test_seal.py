# SPDX-License-Identifier: Apache-2.0
"""What a cookie holds can be read and made by servers with the key only."""
from __future__ import annotations

import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from glancesync.exceptions import ConfigurationError
from glancesync.web.seal import Seal, Session

SESSION = Session(id="1", token="the token", csrf="the csrf", ends_at=5.0, user="ü", project="p")


def test_servers_that_share_the_key_take_each_others_sessions(tmp_path: Path) -> None:
    text = Seal(tmp_path / "key").close(SESSION)
    assert "token" not in text
    assert Seal(tmp_path / "key").open(text) == SESSION
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("change", [
    lambda text: text[:-2] + "AA", lambda text: "", lambda text: "ü", lambda text: text[:40],
    lambda text: text[:30] + ("A" if text[30] != "A" else "B") + text[31:]])
def test_what_was_changed_is_none(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    seal = Seal(tmp_path / "key")
    assert seal.open(change(seal.close(SESSION))) is None


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    assert Seal(tmp_path / "other").open(Seal(tmp_path / "key").close(SESSION)) is None


def test_another_form_is_none(tmp_path: Path) -> None:
    seal = Seal(tmp_path / "key")
    seal.close(SESSION)
    strange = Fernet((tmp_path / "key").read_bytes().strip()).encrypt(b'{"id": "1"}').decode()
    assert seal.open(strange) is None


def test_a_key_is_renewed_without_ending_sessions(tmp_path: Path) -> None:
    key = tmp_path / "key"
    text = Seal(key).close(SESSION)
    key.write_bytes(Fernet.generate_key() + b"\n" + key.read_bytes())
    renewed = Seal(key)
    assert renewed.open(text) == SESSION
    fresh = renewed.close(SESSION)
    key.write_bytes(key.read_bytes().split()[0])
    assert (Seal(key).open(text), Seal(key).open(fresh)) == (None, SESSION)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    Seal(tmp_path / "key").close(SESSION)
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(ConfigurationError, match="0600"):
        Seal(tmp_path / "key").close(SESSION)


@pytest.mark.parametrize("content", [b"", b"no key"])
def test_a_file_without_a_key_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(ConfigurationError, match="holds no key"):
        Seal(tmp_path / "key").close(SESSION)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="key_file"):
        Seal(tmp_path / "nowhere" / "key").close(SESSION)


def test_servers_that_start_together_make_one_key(tmp_path: Path) -> None:
    seals = [Seal(tmp_path / "key") for _ in range(8)]
    threads = [threading.Thread(target=seal.close, args=(SESSION,)) for seal in seals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = seals[0].close(SESSION)
    assert all(seal.open(text) == SESSION for seal in seals)
