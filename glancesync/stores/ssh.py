# SPDX-License-Identifier: Apache-2.0
"""Shared ssh connections to the hosts of stores, and commands over them. Used by the drivers.

One connection (ControlMaster) for each account; it stays a minute after its last use. A password is typed, by pexpect,
when it is opened, and is known to nothing afterwards.
"""
from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import IO

import pexpect

from glancesync import concurrency
from glancesync.clock import Clock
from glancesync.exceptions import (
    ConfigurationError,
    StoreCopyError,
    StoreCutError,
    StoreLoginError,
    StoreTimeoutError,
    StoreUnreachableError,
)
from glancesync.model.store import PasswordSource, SshAccess
from glancesync.stores.passwords import fetch_password
from glancesync.stores.sockets import SocketFolder
from glancesync.stores.ssh_words import SSH_FAILED, classify, remote_command, ssh_arguments

_POLL_SECONDS = 0.005
_POLL_MOST_SECONDS = 0.1
_LOOK_SECONDS = 0.2
_RETRY_SECONDS = 1.0
_CONNECT_SECONDS = 20
_MAX_OUTPUT = 65536
_MOST_ERRORS = 4 * 1024 * 1024
#: Called again and again while a command runs; raises what is to end it.
Watch = Callable[[], None]
#: Gets each line that the last command writes.
Listener = Callable[[str], None]


def _nobody(_line: str = "") -> None:
    """Nobody watches, nobody listens."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """How a command ended. `output` is at most 64 KiB."""

    status: int
    output: str
    errors: str


class SshConnections:
    """The process's connections. Opens none before the first command; `close` ends all."""

    def __init__(self, clock: Clock, *, tries: Callable[[], int]) -> None:
        self._clock = clock
        self._tries = tries
        self._sockets = SocketFolder()
        self._opening: dict[SshAccess, concurrency.Semaphore] = {}
        self._well: set[SshAccess] = set()  # whose last command was no failure of ssh's

    def run(self, access: SshAccess, words: Sequence[str], *, timeout_seconds: float = 60,
            watch: Watch = _nobody, reads: bool = False) -> str:
        """The command's output. Raises the StoreCopyError that its failure means, and what `watch` raises."""
        ended = self.pipe([(access, words)], timeout_seconds=timeout_seconds, watch=watch)[0]
        if ended.status:
            raise classify(ended.status, ended.errors, what=f"{words[0]} on {access.host}", reads=reads)
        return ended.output

    def pipe(self, commands: Sequence[tuple[SshAccess, Sequence[str]]], *, timeout_seconds: float,
             watch: Watch = _nobody, listen: Listener = _nobody, leash: bool = False) -> list[Finished]:
        """Commands on several hosts, each one's output the next one's input. `leash`: the first one's input is held
        open until all have ended, or nobody waits for them. Raises StoreTimeoutError, and what opening a connection,
        `watch` and `listen` raise; then none of them runs any more on this side."""
        for access, _words in commands:
            self._ensure_open(access)
        watch()  # logging in may have taken its time
        running: list[_Running] = []
        try:
            for number, (access, words) in enumerate(commands):
                arguments = self._arguments(access, master=False)
                source = running[-1].process.stdout if running else subprocess.PIPE if leash else subprocess.DEVNULL
                running.append(_Running([*arguments, remote_command(words)], source,
                                        listen=listen if number == len(commands) - 1 else None))
            self._wait(running, timeout_seconds, watch)
            ended = [each.finished() for each in running]
            self._remember(commands, ended)
            return ended
        finally:
            for each in running:
                each.end()

    def _remember(self, commands: Sequence[tuple[SshAccess, Sequence[str]]], ended: Sequence[Finished]) -> None:
        for (access, _words), each in zip(commands, ended, strict=True):
            if each.status == SSH_FAILED:
                self._well.discard(access)
            else:
                self._well.add(access)

    def close(self) -> None:
        """End the shared connections."""
        for access in list(self._opening):
            self._leave(access)
        self._sockets.remove()

    def _wait(self, running: Sequence[_Running], timeout_seconds: float, watch: Watch) -> None:
        end, pause, last = self._clock.monotonic() + timeout_seconds, _POLL_SECONDS, running[-1]
        while last.open or any(each.process.poll() is None for each in running):
            watch()
            for each in running:
                each.ensure_brief()
            if self._clock.monotonic() > end:
                raise StoreTimeoutError(f"it took longer than {timeout_seconds:g} s and was ended")
            if last.open:
                last.read(_LOOK_SECONDS)
            else:
                self._clock.sleep(pause)
                pause = min(pause * 1.5, _POLL_MOST_SECONDS)

    def _ensure_open(self, access: SshAccess) -> None:
        with self._opening.setdefault(access, concurrency.Semaphore(1)):
            if self._is_open(access):
                return
            tries = self._tries()
            for number in range(1, tries + 1):
                try:
                    return self._open(access)
                except (StoreUnreachableError, StoreCutError):
                    if number == tries:
                        raise
                    self._clock.sleep(_RETRY_SECONDS)

    def _is_open(self, access: SshAccess) -> bool:
        if not os.path.exists(self._control_path(access)):
            return False
        return access in self._well or self._control(access, "check") == 0

    def _leave(self, access: SshAccess) -> None:
        if os.path.exists(self._control_path(access)):
            self._control(access, "exit")

    def _control(self, access: SshAccess, command: str) -> int:
        arguments = self._arguments(access, master=False)
        place = arguments.index("--")
        process = _Running([*arguments[:place], "-O", command, *arguments[place:]], listen=None)
        try:
            self._wait([process], _CONNECT_SECONDS, _nobody)
            return process.finished().status
        finally:
            process.end()

    def _open(self, access: SshAccess) -> None:
        # What the shared connection inherits stays open as long as it lives: files, never a pipe to be read to its end.
        arguments = [*self._arguments(access, master=True), remote_command(["true"])]
        if access.password is not None:
            return self._open_with_password(access, access.password, arguments)
        process = _Running(arguments, listen=None)
        try:
            self._wait([process], _CONNECT_SECONDS + 10, _nobody)
            ended = process.finished()
        finally:
            process.end()
        if ended.status:
            raise classify(ended.status, ended.errors, what=f"logging in to {access.host}")

    def _open_with_password(self, access: SshAccess, source: PasswordSource, arguments: Sequence[str]) -> None:
        try:
            password = concurrency.run_native(fetch_password, source)
        except ConfigurationError as error:
            raise StoreLoginError(f"logging in to {access.host}: {error}") from None
        child = pexpect.spawn(arguments[0], list(arguments[1:]), timeout=_CONNECT_SECONDS + 10, encoding="utf-8",
                              codec_errors="replace", echo=False)
        try:
            found = child.expect(["[Pp]assword:", "[Pp]assphrase for", pexpect.EOF])
            told = child.before or ""
            if found == 1:
                raise StoreLoginError(f"logging in to {access.host}: its key has a passphrase, which nobody can type")
            if found == 0:
                child.sendline(password)
                child.expect(pexpect.EOF)
                told = child.before or ""
        except pexpect.TIMEOUT:
            raise StoreUnreachableError(f"logging in to {access.host}: nothing happens") from None
        finally:
            child.close(force=True)
        status = SSH_FAILED if child.exitstatus is None else child.exitstatus
        if status and not self._is_open(access):
            raise classify(status, told.replace(password, "***"), what=f"logging in to {access.host}")

    def _arguments(self, access: SshAccess, *, master: bool) -> list[str]:
        return ssh_arguments(access, self._control_path(access), connect_timeout_seconds=_CONNECT_SECONDS,
                             master=master)

    def _control_path(self, access: SshAccess) -> str:
        """Short: a socket's path has at most 100 bytes."""
        return f"{self._sockets.path}/{sha256(repr(access).encode()).hexdigest()[:16]}"


class _Running:
    """One ssh process. Its errors go to a file: nobody has to read them in time. Its output is the next one's input, or
    read here where somebody listens."""

    def __init__(self, arguments: Sequence[str], source: IO[bytes] | int | None = subprocess.DEVNULL, *,
                 listen: Listener | None = _nobody) -> None:
        self._errors = tempfile.TemporaryFile()
        self._listen = listen
        self._output = self._line = b""
        self.open = False
        try:
            self.process = subprocess.Popen(
                list(arguments), stdin=source, stdout=subprocess.PIPE, stderr=self._errors, close_fds=True,
                start_new_session=True)
        except OSError as error:
            raise StoreCopyError(f"{arguments[0]} cannot be started: {error.strerror}") from None
        finally:
            if source is not None and not isinstance(source, int):
                source.close()  # else the one before would not see that this one ended
        self.open = listen is not None

    def read(self, timeout_seconds: float) -> None:
        """Wait for more of its output at most so long. `open` tells whether it may write more."""
        stream = self.process.stdout
        if stream is None or self._listen is None or not select.select([stream], [], [], timeout_seconds)[0]:
            return
        data = os.read(stream.fileno(), _MAX_OUTPUT)
        self.open = bool(data)
        self._output = (self._output + data)[-_MAX_OUTPUT:]
        *lines, self._line = (self._line + data).split(b"\n")
        self._line = self._line[-_MAX_OUTPUT:]
        for line in lines:
            self._listen(line.decode("utf-8", "replace"))

    def ensure_brief(self) -> None:
        """Raises StoreCopyError for one that fills this host's disk with its errors."""
        if os.fstat(self._errors.fileno()).st_size > _MOST_ERRORS:
            raise StoreCopyError(f"more than {_MOST_ERRORS} bytes of errors came; it was ended")

    def finished(self) -> Finished:
        """The last of what it wrote."""
        self._errors.seek(max(0, os.fstat(self._errors.fileno()).st_size - _MAX_OUTPUT))
        return Finished(status=self.process.returncode, output=self._output.decode("utf-8", "replace"),
                        errors=self._errors.read(_MAX_OUTPUT).decode("utf-8", "replace"))

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        for each in (self.process.stdin, self.process.stdout, self._errors):
            if each is not None:
                each.close()
