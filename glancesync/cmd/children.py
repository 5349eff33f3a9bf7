# SPDX-License-Identifier: Apache-2.0
"""One of several server processes, seen from the one that starts them. Used by `parent`.

A child tells how it is as it would tell systemd (cmd.notify), over a connection of its own. The connection's end is the
end of the other side, however it came.
"""
from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from glancesync import concurrency
from glancesync.clock import Clock
from glancesync.cmd.place import Place

LOG = logging.getLogger(__name__)
_MODULE = "glancesync.cmd.server"
_MESSAGE_BYTES = 4096
_REAP_SECONDS = 5.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 60.0
#: One that lived so long did not fail at its start.
_SOUND_SECONDS = 60.0

#: Starts a process: (arguments, environment, descriptors that it gets).
Start = Callable[[Sequence[str], Mapping[str, str], Sequence[int]], "subprocess.Popen[bytes]"]


def pause_before(failures: int) -> float:
    """Seconds before a child is started again that ended by itself so many times in a row (pure)."""
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (failures - 1)) if failures else 0.0


def failures_after(before: int, *, status: int, lived_seconds: float) -> int:
    """How many times in a row it failed, now that it ended (pure). One that was asked to end did not fail."""
    if status == 0:
        return 0
    return 1 if lived_seconds >= _SOUND_SECONDS else before + 1


def describe_end(status: int) -> str:
    """An exit status as Popen has it, for a person (pure)."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def start_process(arguments: Sequence[str], environment: Mapping[str, str],
                  descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    """In a process group of its own: what a terminal sends to the server's group is the parent's to pass on."""
    return subprocess.Popen([sys.executable, "-m", _MODULE, *arguments], env=dict(environment), pass_fds=descriptors,
                            stdin=subprocess.DEVNULL, process_group=0)


class Child:
    """The process that has one place, and those after it. `told` is called whenever something changed."""

    def __init__(self, number: int, *, clock: Clock, told: Callable[[], None], start: Start = start_process) -> None:
        self.number = number
        self.owner: str | None = None
        self.ready = False
        self.reloading = False
        self.status = ""
        self._extended_seconds: float | None = None
        self.heard_at = clock.monotonic()
        self.failures = 0
        self.start_at = float("-inf")
        self._clock = clock
        self._told = told
        self._start = start
        self._began_at = self.heard_at
        self._process: subprocess.Popen[bytes] | None = None
        self._gone = self._reload_due = False

    @property
    def pid(self) -> int | None:
        """None while there is no process."""
        return self._process.pid if self._process else None

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], place: Callable[[int], Place]) -> None:
        """`place(channel)` tells what the process is given. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            given = place(theirs.fileno())
            self._process = self._start(arguments, {**environment, **given.variables()}, given.descriptors())
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.owner, self.ready, self.reloading, self.status, self._gone = given.owner, False, False, "", False
        self._began_at = self.heard_at = self._clock.monotonic()
        concurrency.spawn(self._listen, ours, self._process)

    def put_off(self) -> None:
        """It could not be started; not before a pause again."""
        self.failures += 1
        self.start_at = self._clock.monotonic() + pause_before(self.failures)

    def take_extension(self) -> float | None:
        """For how many seconds it asked to wait for it since the last call."""
        seconds, self._extended_seconds = self._extended_seconds, None
        return seconds

    def send(self, number: signal.Signals) -> None:
        """Nothing happens where there is no process."""
        if self._process is not None:
            self._process.send_signal(number)

    def reload(self) -> None:
        """SIGHUP, once the process takes it for that; one that starts reads the files anyway, and again."""
        self._reload_due = True
        self._reload_now()

    def _reload_now(self) -> None:
        if self._reload_due and self.ready:
            self._reload_due, self.reloading = False, True
            self.send(signal.SIGHUP)

    def take_end(self) -> int | None:
        """The exit status of a process that ended since the last call, negative for a signal."""
        if self._process is None or not (self._gone or self._process.poll() is not None):
            return None
        try:
            status = self._process.wait(_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            # It closed the connection and goes on: nobody could tell it anything any more.
            LOG.error("process %d (pid %d) does not speak any more: it is killed", self.number, self._process.pid)
            self._process.kill()
            status = self._process.wait()
        now = self._clock.monotonic()
        self.failures = failures_after(self.failures, status=status, lived_seconds=now - self._began_at)
        self.start_at = now + pause_before(self.failures)
        self._process, self.ready, self.reloading = None, False, False
        return status

    def hear(self, message: str) -> None:
        """One message in systemd's words."""
        said = dict(line.partition("=")[::2] for line in message.split("\n"))
        self.heard_at = self._clock.monotonic()
        self.status = said.get("STATUS", self.status)
        if "EXTEND_TIMEOUT_USEC" in said:
            self._extended_seconds = int(said["EXTEND_TIMEOUT_USEC"]) / 1e6
        self.reloading = "RELOADING" in said or (self.reloading and "READY" not in said)
        self.ready = (self.ready or "READY" in said) and "STOPPING" not in said
        self._reload_now()

    def _listen(self, channel: socket.socket, process: subprocess.Popen[bytes]) -> None:
        with channel:
            while message := _receive(channel):
                if self._process is process:
                    self.hear(message.decode("utf-8", "replace"))
                    self._told()
        if self._process is process:
            self._gone = True
            self._told()


def _receive(channel: socket.socket) -> bytes:
    """Empty when the other side is gone."""
    try:
        return channel.recv(_MESSAGE_BYTES)
    except ConnectionError:
        return b""


def environment_of(own: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """What a child is started with: systemd's words are for the parent alone (pure)."""
    kept = {name: value for name, value in own.items() if name not in ("NOTIFY_SOCKET", "WATCHDOG_PID")}
    return {**kept, **more}
