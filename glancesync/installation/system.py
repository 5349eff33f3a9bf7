# SPDX-License-Identifier: Apache-2.0
"""What the changes and their removal ask of the system: commands, owners, digests."""
from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path


class InstallationError(Exception):
    """Something could not be done; the message says what and why."""


def run(arguments: Sequence[str], *, good: Sequence[int] = (0,)) -> str:
    """Its output; raises InstallationError with what it said for any other status than the good ones."""
    # The path that the installer itself was found by is not for what it runs.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        answer = subprocess.run([*arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                                stdin=subprocess.DEVNULL, cwd="/", env=variables)
    except OSError as error:
        raise InstallationError(f"{arguments[0]} cannot be run: {error.strerror}") from error
    if answer.returncode not in good:
        raise InstallationError(f"{' '.join(arguments[:4])} ... ended with {answer.returncode}:\n{answer.stdout}")
    return answer.stdout


def find_ids(name: str) -> tuple[int, int] | None:
    """User and group id of a user."""
    with contextlib.suppress(KeyError):
        found = pwd.getpwnam(name)
        return found.pw_uid, found.pw_gid
    return None


def ids(owner: str | None, group: str | None) -> tuple[int, int]:
    """Of names; root for None."""
    return (pwd.getpwnam(owner).pw_uid if owner else 0), (grp.getgrnam(group).gr_gid if group else 0)


def digest(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def remove_tree(path: Path) -> None:
    """A folder of ours with all that is in it."""
    shutil.rmtree(path)


def is_owned(path: Path, mode: int, owner: str | None, group: str | None) -> bool:
    """Whether it has this mode, and this owner and group (names, root for None)."""
    found = path.stat()
    try:
        wanted = ids(owner, group)
    except KeyError:
        return False
    return (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (*wanted, mode)
