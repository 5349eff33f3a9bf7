# SPDX-License-Identifier: Apache-2.0
"""glance_store.yaml, and what it names, as an attacker or a slip would write them: refused with a line, at once, and
without a word of a password."""
from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from glancesync.exceptions import ConfigurationError
from glancesync.model.store import PasswordSource, StoresConfig
from glancesync.stores.loader import load_stores
from glancesync.stores.passwords import fetch_password

SECRET = "Hunter2"
FILE = """\
glances:
  - name: a
    region: One
    schemes:
      - name: filesystem
        parameters:
          host: h
          datadir: /d
          login_user: u
          login_password: %s
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "glance_store.yaml"
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("written", [
    f"!{SECRET}", f"!{SECRET}!x", f"!<{SECRET}> x", f"!!{SECRET} x", f"*{SECRET}", f"&{SECRET} x", f"!!int {SECRET}",
    f"!!binary {SECRET}é", f"%{SECRET}", f"@{SECRET}", f"\"{SECRET}\\q\"", f"{SECRET}: x", f"[{SECRET}]",
    f"{{{SECRET}: 1}}", f"|{SECRET}", f"'{SECRET}", f"- {SECRET}", f"`{SECRET}"])
def test_no_slip_shows_a_password(tmp_path: Path, written: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_stores(write(tmp_path, FILE % written))
    assert SECRET not in str(caught.value) + caplog.text
    assert "line 1" in str(caught.value)


@pytest.mark.parametrize("written", ["2024-99-99", "2024-01-01 99:99:99", "1" * 5000, "!!float x", "!!bool x",
                                     "!!timestamp x", "=", "!!set {a}", "0x" + "f" * 9000])
def test_what_yaml_cannot_make_a_value_of_is_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(ConfigurationError, match="line 10"):
        load_stores(write(tmp_path, FILE % written))


@pytest.mark.parametrize("port", ["22.0", "2.2e1", "true", "'22'", "0x10000", ".inf", ".nan", "-22"])
def test_a_port_is_a_whole_number(tmp_path: Path, port: str) -> None:
    with pytest.raises(ConfigurationError, match=r"parameters.port"):
        load_stores(write(tmp_path, FILE % "x" + f"          port: {port}\n"))


def in_time(act: Any) -> Any:
    """What it gave or raised; a thread that hangs is left to its end."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(act())
        except ConfigurationError as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    assert found, "it hangs"
    return found[0]


def test_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    """An opened pipe waits for its writer: a reload would stop the whole server."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    assert "no regular file" in str(in_time(lambda: load_stores(pipe)))
    for key in ("key_file", "known_hosts_file", "login_password_file"):
        path = write(tmp_path, (FILE % "x").replace("login_password: x", f"{key}: {pipe}"))
        assert "no regular file" in str(in_time(lambda path=path: load_stores(path)))
    told = in_time(lambda: fetch_password(PasswordSource(kind="file", value=str(pipe))))
    assert "no regular file" in str(told)


@settings(max_examples=300, deadline=None)
@given(some.one_of(some.text(max_size=200), some.text("{}[]&*!|>'\"%@`:-?,# \nab1.0e", max_size=60).map(
    lambda text: FILE % text)))
def test_any_text_is_taken_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    path.chmod(0o600)
    try:
        assert isinstance(load_stores(path), StoresConfig)
    except ConfigurationError:
        return
