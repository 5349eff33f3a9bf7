# SPDX-License-Identifier: Apache-2.0
"""What every process that runs tasks does between its start and its end: signals, Keystone's catalog, reloads, watching
its own parts. Base of the daemons of `glance-sync` and `glance-sync-worker`.
"""
from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Sequence

from glancesync import concurrency
from glancesync.cmd.build import Core
from glancesync.cmd.notify import Notifier
from glancesync.cmd.reload import Reloader
from glancesync.exceptions import ConfigurationError, GlanceSyncError

LOG = logging.getLogger(__name__)
START_RETRY_SECONDS = 3.0
_TURN_SECONDS = 5.0


class Life:
    """`notifier` tells systemd, or whoever started this process."""

    def __init__(self, core: Core, reloader: Reloader, notifier: Notifier) -> None:
        self._core = core
        self._reloader = reloader
        self._notifier = notifier
        self._bell = concurrency.Doorbell()
        self._signals = 0
        self._reloads = False
        self._ended: str | None = None
        self._stopping = False

    def describe(self) -> str:
        """One line for `systemctl status`."""
        raise NotImplementedError

    def waits(self, why: str) -> None:
        """The start is held up; told each time it is tried again."""

    def turn(self) -> None:
        """Called every few seconds."""

    def _heed_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_hangup)

    def _spawn(self, loops: Sequence[Callable[[], None]]) -> list[concurrency.GreenThread]:
        threads = [concurrency.spawn(loop) for loop in loops]
        for thread in threads:
            thread.link(self._on_end)
        return threads

    def _look_at_regions(self) -> None:
        core = self._core
        core.region_timer.run_once()  # before anything is queued under a name that a region did not have before
        core.freeze_timer.run_once()  # nor is anything written to what was frozen before
        core.prober.refresh()  # or left alone
        core.directory.before_change(core.region_watch.write_down)

    def _wait_for_regions(self) -> bool:
        """A Keystone that is down at our start delays it; a wrong configuration ends it. False after a signal."""
        while not self._signals:
            try:
                self._core.directory.load()
                self._core.take_stores()
                return True
            except ConfigurationError:
                raise
            except GlanceSyncError as error:
                LOG.warning("the start waits for Keystone and asks again every %d s: %s", START_RETRY_SECONDS, error)
                self.waits("the server waits for Keystone")
                self._notifier.starting(f"waits for Keystone: {error}", 10 * START_RETRY_SECONDS)
                self._bell.wait(START_RETRY_SECONDS)
        return False

    def _go_on(self) -> None:
        """Until a signal, or the end of a part that must not end. Each turn shows that the hub turns."""
        watchdog = self._notifier.watchdog_seconds
        seconds = min(_TURN_SECONDS, watchdog / 3) if watchdog else _TURN_SECONDS
        while not self._signals and not self._ended:
            if self._reloads:
                self._reload()
            if watchdog:
                self._notifier.alive()
            self._notifier.status(self.describe())
            self.turn()
            self._bell.wait(seconds)

    def _reload(self) -> None:
        self._reloads = False
        self._notifier.reloading()
        right = self._reloader.reload()
        self._notifier.ready(self.describe() + ("" if right else "; the last reload failed, see the log"))

    def _begin_to_stop(self) -> float:
        """How many seconds what runs may take."""
        self._stopping = True
        seconds = self._core.settings.server.graceful_shutdown_seconds
        if self._ended:
            LOG.error("stopping, because a part of the server ended by itself: %s", self._ended)
        LOG.info("stopping: nothing new is started, what runs may take %d s more", seconds)
        self._notifier.stopping(seconds + 10 * START_RETRY_SECONDS)
        return seconds

    def _say_stopped(self) -> None:
        """The last thing that is done."""
        # A second signal that comes while the interpreter ends would end it in its own way, as if something had failed.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        LOG.info("stopped")

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signals += 1
        if self._signals > 1:
            concurrency.spawn(self._core.worker.stop, 0)
        self._bell.ring()

    def _on_hangup(self, _number: int, _frame: object) -> None:
        self._reloads = True
        self._bell.ring()

    def _on_end(self, thread: concurrency.GreenThread) -> None:
        """None of them ends by itself: without it the server would look alive and do half of its work."""
        if self._stopping:
            return
        try:
            thread.wait()
            self._ended = "it returned"
        except Exception as error:
            self._ended = f"{type(error).__name__}: {error}"
            LOG.exception("a part of the server ended")
        self._bell.ring()
