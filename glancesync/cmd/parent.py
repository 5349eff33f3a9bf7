# SPDX-License-Identifier: Apache-2.0
"""The process that starts several server processes and serves nothing itself. Made by `launch` where workers > 1.

It takes what only one may take (an SQLite file, the port), gives back what an earlier incarnation left running, then
starts the processes: the first one, which makes what a new database lacks, then the others. It starts a process again
that ends, hands signals on, speaks with systemd for all of them, and ends when they have ended.
"""
from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Mapping, Sequence
from functools import partial

from glancesync import __version__, concurrency
from glancesync.clock import Clock, SystemClock
from glancesync.cmd.children import Child, describe_end, environment_of
from glancesync.cmd.counts_folder import CountsFolder
from glancesync.cmd.listener import listen
from glancesync.cmd.notify import Notifier
from glancesync.cmd.place import Place, server_name
from glancesync.conf.server import ServerSettings
from glancesync.conf.worker import WorkerSettings
from glancesync.db.alone import SoleUse
from glancesync.db.engine import Database
from glancesync.exceptions import NotReadyError
from glancesync.metrics.processes import FOLDER_VARIABLE, forget_process
from glancesync.tasks import chores
from glancesync.tasks.queue import TaskQueue, new_owner

LOG = logging.getLogger(__name__)
_TURN_SECONDS = 1.0
_STOP_TURN_SECONDS = 0.1
_STOP_EXTRA_SECONDS = 30.0


class Parent:
    """`arguments` and `environment` are those of this process; `run` lives as long as the server."""

    def __init__(self, *, settings: ServerSettings, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._arguments = arguments
        self._environment = environment
        self._clock: Clock = SystemClock()
        self._notifier = Notifier(environment)
        self._bell = concurrency.Doorbell()
        self._children = [Child(number, clock=self._clock, told=self._bell.ring)
                          for number in range(settings.workers)]
        self._database = Database(settings.connection)
        self._queue = TaskQueue(self._database, new_owner(server_name(settings)), WorkerSettings())
        self._signals = 0
        self._handed_on = 0
        self._reloads = False
        self._served = False
        self._status = 0
        self._listener: socket.socket | None = None
        self._folder: CountsFolder | None = None
        self._alone = SoleUse(settings.connection)

    def run(self) -> int:
        """0 after a stop by signal; what the first process says that cannot start. Raises NotReadyError and
        ConfigurationError where nothing was started."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_hangup)
        self._database.open()
        self._alone.take()
        self._listener = listen(self._settings)
        self._tell_lost(self._queue.recover())
        self._database.close()
        self._folder = CountsFolder(self._clock.now())
        try:
            self._go_on()
            self._stop()
        finally:
            self._folder.remove()
        self._alone.release()
        return self._status

    def _go_on(self) -> None:
        """Until a signal, or a process that cannot start."""
        turn = min(_TURN_SECONDS, (self._notifier.watchdog_seconds or _TURN_SECONDS) / 3)
        while not self._signals:
            self._look_for_ends()
            if self._status:
                return
            self._start_missing()
            self._tell()
            self._bell.wait(turn)

    def _start_missing(self) -> None:
        """The first alone until it serves: it makes what all of them need."""
        first = self._children[0]
        for child in self._children if first.ready or self._served else [first]:
            if child.pid is None and self._clock.monotonic() >= child.start_at:
                self._start(child)

    def _start(self, child: Child) -> None:
        try:
            child.start(self._arguments, self._child_environment(), partial(self._place, child.number))
        except OSError as error:  # no memory, too many processes: those that serve go on
            child.put_off()
            LOG.error("process %d cannot be started, it is tried again: %s", child.number, error)
            return
        LOG.info("process %d is started, pid %d", child.number, child.pid)

    def _place(self, number: int, channel: int) -> Place:
        if self._listener is None:
            raise NotReadyError("the server does not listen yet")
        return Place(number=number, owner=new_owner(server_name(self._settings)), listener=self._listener.fileno(),
                     channel=channel, lock=self._alone.descriptor, answers_early=number == 0 and not self._served)

    def _child_environment(self) -> dict[str, str]:
        path = self._folder.path if self._folder else ""
        return environment_of(self._environment, {FOLDER_VARIABLE: str(path)})

    def _look_for_ends(self) -> None:
        for child in self._children:
            pid, status = child.pid, child.take_end()
            if pid is None or status is None:
                continue
            if self._folder is not None:
                forget_process(self._folder.path, pid)
            if self._signals:
                LOG.info("process %d (pid %d) %s", child.number, pid, describe_end(status))
                # One that was not loaded yet could not heed the signal, and had nothing to hand back.
                self._status = self._status or int(status not in (0, -signal.SIGTERM))
            elif not self._served:
                LOG.error("process %d (pid %d) %s before it served: the server ends", child.number, pid,
                          describe_end(status))
                self._status = status if status > 0 else 1
            else:
                LOG.error("process %d (pid %d) %s, another one starts in %.0f s", child.number, pid,
                          describe_end(status), max(child.start_at - self._clock.monotonic(), 0))
                self._give_back(child)

    def _give_back(self, child: Child) -> None:
        """What it left running. Where the database does not answer, the others find it when its lease is over."""
        try:
            self._tell_lost(self._queue.give_back(str(child.owner)))
            self._database.run(chores.take_back, str(child.owner))
            self._database.close()
        except NotReadyError as error:
            LOG.warning("what process %d left running starts again after its lease: %s", child.number, error)

    def _tell_lost(self, tasks: Sequence[object]) -> None:
        if tasks:
            LOG.warning("%d tasks were left running by a process that is gone: they start again", len(tasks))

    def _tell(self) -> None:
        """systemd, and the children what they are to do."""
        serving = [child for child in self._children if child.ready]
        if self._reloads:
            self._reloads = False
            self._notifier.reloading()
            for child in self._children:
                child.reload()
        if not self._served:
            self._tell_start(len(serving))
        elif not any(child.reloading for child in self._children):
            self._notifier.serves(self._describe(len(serving)))
        if self._notifier.watchdog_seconds and self._all_turn(serving, self._notifier.watchdog_seconds):
            self._notifier.alive()

    def _tell_start(self, serving: int) -> None:
        if serving == len(self._children):
            self._served = True
            LOG.info("glance-sync %s serves on %s:%d, %d processes", __version__, self._settings.bind_host,
                     self._settings.bind_port, serving)
            self._notifier.ready(self._describe(serving))
            return
        for child in self._children:
            if (seconds := child.take_extension()) is not None:
                self._notifier.starting(child.status, seconds)

    def _all_turn(self, serving: Sequence[Child], seconds: float) -> bool:
        """Each shows three times in this time that its hub turns; one that starts shows nothing yet."""
        now = self._clock.monotonic()
        return all(now - child.heard_at < seconds * 2 / 3 for child in serving)

    def _describe(self, serving: int) -> str:
        return (f"{serving} of {len(self._children)} processes serve on {self._settings.bind_host}:"
                f"{self._settings.bind_port}")

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signals += 1
        self._bell.ring()

    def _on_hangup(self, _number: int, _frame: object) -> None:
        self._reloads = True
        self._bell.ring()

    def _stop(self) -> None:
        """Every process has its time, at once; each further signal is handed on."""
        if self._listener is not None:
            self._listener.close()
        self._signals = max(self._signals, 1)
        seconds = self._settings.graceful_shutdown_seconds
        LOG.info("stopping: %d processes may take %d s more", sum(child.pid is not None for child in self._children),
                 seconds)
        self._notifier.stopping(seconds + _STOP_EXTRA_SECONDS)
        while any(child.pid is not None for child in self._children):
            if self._handed_on < self._signals:
                self._handed_on += 1
                for child in self._children:
                    child.send(signal.SIGTERM)
            self._bell.wait(_STOP_TURN_SECONDS)
            self._look_for_ends()
            for child in self._children:  # a reload may have given them more time than this process knows
                if (more := child.take_extension()) is not None:
                    self._notifier.stopping(more)
        LOG.info("stopped")
