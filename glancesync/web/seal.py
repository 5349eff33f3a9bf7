# SPDX-License-Identifier: Apache-2.0
"""Session cookies: what they hold is sealed (encrypted and authenticated) by a key that only servers have.

Used by `sessions`. The key file may hold several keys, one a line: the first seals, all of them open. A new line on top
renews the key without ending sessions; a line that is removed ends those that it sealed.
"""
from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from glancesync.exceptions import ConfigurationError

_READ_LIMIT_BYTES = 65536


@dataclass(frozen=True, kw_only=True)
class Session:
    """One login. `ends_at` is seconds since the epoch; `csrf` is what requests that change something must carry."""

    id: str
    token: str
    csrf: str
    ends_at: float
    user: str
    project: str


class Seal:
    """The key is read, or made, when it is first needed; the constructor touches no disk."""

    def __init__(self, path: Path, *, make_key: Callable[[], bytes] = Fernet.generate_key) -> None:
        self._path = path
        self._make_key = make_key
        self._keys: MultiFernet | None = None

    def close(self, session: Session) -> str:
        """The session as text for a cookie. Raises ConfigurationError where there is no usable key."""
        return self._load().encrypt(json.dumps(asdict(session)).encode()).decode("ascii")

    def open(self, text: str) -> Session | None:
        """The session, None for what none of the keys sealed."""
        try:
            return Session(**json.loads(self._load().decrypt(text.encode("ascii"))))
        except (InvalidToken, UnicodeEncodeError, ValueError, TypeError):
            return None

    def _load(self) -> MultiFernet:
        if self._keys is None:
            lines = read_or_make(self._path, self._make_key).split()
            try:
                self._keys = MultiFernet([Fernet(line) for line in lines])
            except ValueError:
                raise ConfigurationError(f"{self._path} ([web] key_file) holds no key; remove it, a new one is made") \
                    from None
        return self._keys


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """What the private file holds, after making it where there is none. Raises ConfigurationError where it cannot be
    read or made, or where others may read it."""
    try:
        if not path.exists():
            _make(path, make() + b"\n")
        return _read(path)
    except OSError as error:
        raise ConfigurationError(f"{path}, the key of the page's sessions ([web] key_file): "
                                 f"{error.strerror}") from error


def _make(path: Path, content: bytes) -> None:
    """In one step, so that of several servers that start together all use one key."""
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        with suppress(FileExistsError):
            os.link(part, path)
    finally:
        os.unlink(part)


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
            raise ConfigurationError(f"{path} ([web] key_file) may be read by others; chmod 0600 it, and remove it if "
                                     "others may have read it")
        return stream.read(_READ_LIMIT_BYTES)
