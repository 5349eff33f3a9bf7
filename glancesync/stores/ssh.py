# SPDX-License-Identifier: Apache-2.0
"""Shared ssh connections to the hosts of stores, and commands over them. Used by the drivers.

One connection (ControlMaster) for each account; it stays a minute after its last use. A password is typed, by pexpect,
when it is opened, and is known to nothing afterwards.
"""
from __future__ import annotations

import contextlib
import os
import shutil
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
from glancesync.stores.ssh_words import SSH_FAILED, classify, remote_command, ssh_arguments

_POLL_SECONDS = 0.02
_POLL_MOST_SECONDS = 0.2
_RETRY_SECONDS = 1.0
_CONNECT_SECONDS = 20
_MAX_OUTPUT = 65536
#: Called again and again while a command runs; raises what is to end it.
Watch = Callable[[], None]


def _nobody() -> None:
    """Nobody watches."""


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
        self._folder: str | None = None
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
             watch: Watch = _nobody) -> list[Finished]:
        """Commands on several hosts, each one's output the next one's input. Raises StoreTimeoutError, and what opening
        a connection and `watch` raise; then none of them runs any more on this side."""
        for access, _words in commands:
            self._ensure_open(access)
        running: list[_Running] = []
        try:
            for number, (access, words) in enumerate(commands):
                arguments = self._arguments(access, master=False)
                last = number == len(commands) - 1
                source = running[-1].process.stdout if running else None
                running.append(_Running([*arguments, remote_command(words)], source, keep=last))
            self._wait(running, timeout_seconds, watch)
            ended = [each.finished() for each in running]
            for (access, _words), each_ended in zip(commands, ended, strict=True):
                if each_ended.status in (0, 1):
                    self._well.add(access)
                else:
                    self._well.discard(access)
            return ended
        finally:
            for each in running:
                each.end()

    def close(self) -> None:
        """End the shared connections."""
        for access in list(self._opening):
            self._leave(access)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _wait(self, running: Sequence[_Running], timeout_seconds: float, watch: Watch) -> None:
        end, pause = self._clock.monotonic() + timeout_seconds, _POLL_SECONDS
        while any(each.process.poll() is None for each in running):
            watch()
            if self._clock.monotonic() > end:
                raise StoreTimeoutError(f"it took longer than {timeout_seconds:g} s and was ended")
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
        process = _Running([*arguments[:place], "-O", command, *arguments[place:]], None, keep=False)
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
        process = _Running(arguments, None, keep=False)
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
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="gsync-")  # mode 0700
        return f"{self._folder}/{sha256(repr(access).encode()).hexdigest()[:16]}"


class _Running:
    """One ssh process. What it writes goes to files: nobody has to read it in time."""

    def __init__(self, arguments: Sequence[str], source: IO[bytes] | None, *, keep: bool) -> None:
        self._errors = tempfile.TemporaryFile()
        self._output = tempfile.TemporaryFile() if keep else None
        try:
            self.process = subprocess.Popen(
                list(arguments), stdin=subprocess.DEVNULL if source is None else source,
                stdout=subprocess.PIPE if not keep else self._output, stderr=self._errors, close_fds=True,
                start_new_session=True)
        except OSError as error:
            raise StoreCopyError(f"{arguments[0]} cannot be started: {error.strerror}") from None
        finally:
            if source is not None:
                source.close()  # else the one before would not see that this one ended

    def finished(self) -> Finished:
        return Finished(status=self.process.returncode, output=_read(self._output), errors=_read(self._errors))

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        for each in (self.process.stdout, self._output, self._errors):
            if each is not None:
                each.close()


def _read(file: IO[bytes] | None) -> str:
    if file is None:
        return ""
    file.seek(0)
    return file.read(_MAX_OUTPUT).decode("utf-8", "replace")
