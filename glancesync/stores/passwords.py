# SPDX-License-Identifier: Apache-2.0
"""Gets a password when it is needed, from where glance_store.yaml says. Called by whoever logs in."""
from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from glancesync.exceptions import ConfigurationError
from glancesync.model.store import PasswordSource
from glancesync.stores.document import open_at_once

_COMMAND_SECONDS = 30.0
_MAX_CHARACTERS = 4096


def fetch_password(source: PasswordSource, environ: Mapping[str, str] | None = None) -> str:
    """Without its newline. Raises ConfigurationError, never with the password or a command's output in it."""
    if source.kind == "command":
        text = _run(tuple(source.value))
    elif source.kind == "file":
        text = _read(Path(str(source.value)))
    elif source.kind == "environment":
        text = (os.environ if environ is None else environ).get(str(source.value), "")
    else:
        text = str(source.value)
    password = text.rstrip("\r\n")
    if not password or len(password) > _MAX_CHARACTERS or not password.isprintable():
        raise ConfigurationError(f"the password's {source.kind} gives none, or one that cannot be typed")
    return password


def _read(path: Path) -> str:
    try:
        with open_at_once(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigurationError(f"the password's file {path} is no regular file")
            data = file.read(_MAX_CHARACTERS + 2)
    except OSError as error:
        raise ConfigurationError(f"the password's file {path} cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise ConfigurationError(f"the password's file {path} may be read by others; it must have mode 0600")
    return data.decode("utf-8", "replace")


def _run(arguments: tuple[str, ...]) -> str:
    try:
        answer = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_SECONDS,
                                check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(f"the password's command {arguments[0]} cannot be run: "
                                 f"{type(error).__name__}") from None
    if answer.returncode:
        raise ConfigurationError(f"the password's command {arguments[0]} ended with status {answer.returncode}")
    return answer.stdout.decode("utf-8", "replace")
