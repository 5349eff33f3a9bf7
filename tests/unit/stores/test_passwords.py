# SPDX-License-Identifier: Apache-2.0
"""Passwords come from where the file says, and no error shows one."""
from __future__ import annotations

import pytest

from glancesync.exceptions import ConfigurationError
from glancesync.model.store import PasswordSource
from glancesync.stores.passwords import fetch_password


def source(kind, value):
    return PasswordSource(kind=kind, value=value)


def test_from_a_file_of_mode_0600(tmp_path):
    path = tmp_path / "password"
    path.write_text("hunter2 with blanks\n")
    path.chmod(0o600)
    assert fetch_password(source("file", str(path))) == "hunter2 with blanks"
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="may be read by others") as caught:
        fetch_password(source("file", str(path)))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        fetch_password(source("file", str(tmp_path / "none")))


def test_from_the_environment():
    assert fetch_password(source("environment", "HOME"), {"HOME": "x"}) == "x"
    with pytest.raises(ConfigurationError, match="environment gives none"):
        fetch_password(source("environment", "HOME"), {})


@pytest.mark.parametrize("password", ["", "a\nb", "a\x03", "x" * 5000])
def test_what_cannot_be_typed_is_refused(password):
    with pytest.raises(ConfigurationError, match="cannot be typed"):
        fetch_password(source("clear", password))


def test_no_text_of_it_shows_it():
    assert "hunter2" not in repr(source("clear", "hunter2"))
