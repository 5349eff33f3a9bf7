# SPDX-License-Identifier: Apache-2.0
"""The sender's native thread: one per process, started when the process is known to serve requests.

Used by `reporter`. Glance's servers fork after they have loaded the application, and a thread does not survive that:
so it starts with the first request or event of a process. A process that serves without forking would leave the
events of its predecessor waiting for that, so it also starts by itself soon after loading, unless a fork came first.
"""
from __future__ import annotations

import os
import sys
import threading

from glancesync.filter.complaints import SENDER_THREAD, Guard
from glancesync.filter.sender import Pause, Sender

SETTLE_SECONDS = 2.0
#: How long a new event waits before it is sent: the interpreter lock is the user's until his answer has gone out.
ANSWER_SECONDS = 0.02
_AFTER_AN_ERROR = Pause(seconds=5.0)


class SenderThread:
    """Runs `sender.run_once` until the process ends. The constructor starts nothing."""

    def __init__(self, *, sender: Sender, guard: Guard) -> None:
        self._sender = sender
        self._guard = guard
        self._timer: threading.Timer | None = None
        self._reset()

    def forget(self) -> None:
        """Start anew in a forked child, where no thread of the parent lives."""
        self._reset()
        self._timer = None
        self._sender.forget()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pause = _AFTER_AN_ERROR

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive() and self._pid == os.getpid()

    def start(self) -> None:
        """Start it unless it runs; raises RuntimeError when the system gives no thread."""
        with self._starting:
            if not self.is_running:
                self._thread = threading.Thread(target=self._run, name=SENDER_THREAD, daemon=True)
                self._thread.start()

    def start_soon(self) -> None:
        """Start it a little later unless this process forks before, as one does that only loads the application."""
        if _is_master():
            return
        self._timer = threading.Timer(SETTLE_SECONDS, self._guard.run, args=(self.start,))
        self._timer.daemon = True
        self._timer.start()

    def before_fork(self) -> None:
        """This process has children to serve; it need not deliver by itself."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def wake(self) -> None:
        """A new event lies in the outbox."""
        if self._sender.leading:
            self._wake.set()

    def stop(self, timeout_seconds: float) -> None:
        """End it after what it is doing. Glance never does this: the thread ends with its process."""
        self.before_fork()
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            self._pause = _AFTER_AN_ERROR
            self._guard.run(self._turn)
            self._rest()

    def _rest(self) -> None:
        if not self._pause.wakeable:
            self._stop.wait(self._pause.seconds)
        elif self._wake.wait(self._pause.seconds):
            self._stop.wait(ANSWER_SECONDS)

    def _turn(self) -> None:
        self._pause = self._sender.run_once()


def _is_master() -> bool:
    """uWSGI's master loads the application and forks by ways of its own; it has no worker id."""
    uwsgi = sys.modules.get("uwsgi")
    return uwsgi is not None and uwsgi.worker_id() == 0
