# SPDX-License-Identifier: Apache-2.0
"""Passwords from a command: what it says is one, how it fails is told without what it said."""
from __future__ import annotations

import pytest

from glancesync.exceptions import ConfigurationError
from glancesync.model.store import PasswordSource
from glancesync.stores.passwords import fetch_password


def command(*arguments: str) -> PasswordSource:
    return PasswordSource(kind="command", value=arguments)


def test_its_first_output_is_the_password() -> None:
    assert fetch_password(command("/bin/echo", "hunter2; echo $HOME")) == "hunter2; echo $HOME"


@pytest.mark.parametrize(("arguments", "why"), [
    (("/bin/sh", "-c", "echo hunter2; echo hunter2 >&2; exit 3"), "ended with status 3"),
    (("/does/not/exist",), "cannot be run: FileNotFoundError"), (("/bin/true",), "gives none"),
])
def test_one_that_fails_tells_nothing_of_it(arguments: tuple[str, ...], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        fetch_password(command(*arguments))
    assert "hunter2" not in str(caught.value)
