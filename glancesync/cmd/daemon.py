# SPDX-License-Identifier: Apache-2.0
"""The life of a server process: start in order, serve, reload, stop in order. Called by `glance-sync`."""
from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence

from oslo_config import cfg

from glancesync import __version__, concurrency, serving
from glancesync.cmd.build import Server, build
from glancesync.cmd.logs import arrange_logs
from glancesync.cmd.place import Place
from glancesync.cmd.reload import Reloader, prepare_stores
from glancesync.cmd.standing import Standing
from glancesync.cmd.starting import StartGate
from glancesync.exceptions import ConfigurationError, GlanceSyncError

LOG = logging.getLogger(__name__)
_START_RETRY_SECONDS = 3.0
_TURN_SECONDS = 5.0
_LOOK_SECONDS = 0.05


def serve(conf: cfg.ConfigOpts, arguments: Sequence[str], *, prog: str, place: Place | None) -> int:
    """0 after a stop by signal, 1 when the server cannot go on. `place`: this is one of several processes. Raises
    ConfigurationError, and NotReadyError when it cannot start."""
    server = build(conf, place)
    server.stores.read(server.settings.stores.config_file)  # what is wrong with it refuses the start at once
    reloader = Reloader(arguments=arguments, prog=prog, conf=conf, live=server.live,
                        prepared=[prepare_stores(server.stores)],
                        told=[*server.told, lambda _before, _after: arrange_logs(conf)])
    return _Daemon(server, reloader, Standing(server.settings.server, place, os.environ)).run()


class _Daemon:
    def __init__(self, server: Server, reloader: Reloader, standing: Standing) -> None:
        self._server = server
        self._reloader = reloader
        self._standing = standing
        self._notifier = standing.notifier
        self._gate = StartGate(server.app)
        self._bell = concurrency.Doorbell()
        self._signals = 0
        self._reloads = False
        self._ended: str | None = None
        self._stopping = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_hangup)
        server = self._server
        server.database.open()
        server.clock.follow(server.database)  # before anything is written down or decided
        listener = self._standing.take()
        self._standing.when_orphaned(self._on_orphaned)
        api = concurrency.spawn(self._serve, listener) if self._standing.answers_early else None
        threads: list[concurrency.GreenThread] = []
        if self._wait_for_regions():
            threads = self._start()
            api = api or concurrency.spawn(self._serve, listener)
            LOG.info("glance-sync %s %s %s:%d", __version__, self._standing.words, *listener.getsockname()[:2])
            self._notifier.ready(self._describe())
            self._go_on()
        self._stop(listener, api, threads)
        self._standing.release()
        return 1 if self._ended else 0

    def _start(self) -> list[concurrency.GreenThread]:
        server = self._server
        server.region_timer.run_once()  # before anything is queued under a name that a region did not have before
        server.freeze_timer.run_once()  # nor is anything written to what was frozen before
        server.prober.refresh()  # or left alone
        server.directory.before_change(server.region_watch.write_down)
        if self._standing.is_first and server.settings.reconcile.reconcile_at_start:
            server.ask_for_comparison()
        threads = [concurrency.spawn(loop) for loop in self._loops()]
        for thread in threads:
            thread.link(self._on_end)
        self._gate.open()
        return threads

    def _loops(self) -> list[Callable[[], None]]:
        """The worker first. Of several processes one alone listens; what is done once for all is a chore's turn."""
        server = self._server
        each = [server.worker.run_forever, server.region_timer.run_forever, server.prober.run_forever,
                server.freeze_timer.run_forever, server.presence.run_forever, server.chores.run_forever]
        each += [server.bell.run_forever] if server.bell is not None else []
        listens = self._standing.is_first and server.feed is not None
        return [*each, server.feed.run_forever] if listens and server.feed is not None else each

    def _go_on(self) -> None:
        """Until a signal, or the end of a part that must not end. Each turn shows that the hub turns."""
        watchdog = self._notifier.watchdog_seconds
        turn = min(_TURN_SECONDS, watchdog / 3) if watchdog else _TURN_SECONDS
        while not self._signals and not self._ended:
            if self._reloads:
                self._reload()
            if watchdog:
                self._notifier.alive()
            self._notifier.status(self._describe())
            self._server.show_here()
            self._bell.wait(turn)

    def _reload(self) -> None:
        self._reloads = False
        self._notifier.reloading()
        right = self._reloader.reload()
        self._notifier.ready(self._describe() + ("" if right else "; the last reload failed, see the log"))

    def _describe(self) -> str:
        settings = self._server.settings.server
        return (f"serves on {settings.bind_host}:{settings.bind_port}, {len(self._server.directory.cascaded())} "
                f"cascaded regions, {self._server.worker.running} tasks run")

    def _serve(self, listener: socket.socket) -> None:
        settings = self._server.settings.api
        limits = serving.ConnectionLimits(socket_timeout_seconds=settings.client_timeout_seconds,
                                          keepalive_seconds=settings.client_timeout_seconds)
        pool = concurrency.GreenPool(settings.max_connections)
        serving.serve(listener, self._gate, pool=pool, log=logging.getLogger("glancesync.access"),
                      limits=limits)

    def _wait_for_regions(self) -> bool:
        """A Keystone that is down at our start delays it; a wrong configuration ends it. False after a signal."""
        while not self._signals:
            try:
                self._server.directory.load()
                self._server.take_stores()
                return True
            except ConfigurationError:
                raise
            except GlanceSyncError as error:
                LOG.warning("the start waits for Keystone and asks again every %d s: %s", _START_RETRY_SECONDS, error)
                self._gate.wait_for("the server waits for Keystone")
                self._notifier.starting(f"waits for Keystone: {error}", 10 * _START_RETRY_SECONDS)
                self._bell.wait(_START_RETRY_SECONDS)
        return False

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signals += 1
        if self._signals > 1:
            concurrency.spawn(self._server.worker.stop, 0)
        self._bell.ring()

    def _on_orphaned(self) -> None:
        """Nobody is left who would start this process again, or tell it to end: another server may wait for its end."""
        self._ended = "the process that started it is gone"
        self._on_signal(signal.SIGTERM, None)
        concurrency.spawn(self._server.worker.stop, 0)

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

    def _stop(self, listener: socket.socket, api: concurrency.GreenThread | None,
              threads: list[concurrency.GreenThread]) -> None:
        self._stopping = True
        seconds = self._server.settings.server.graceful_shutdown_seconds
        deadline = self._server.clock.monotonic() + seconds
        if self._ended:
            LOG.error("stopping, because a part of the server ended by itself: %s", self._ended)
        LOG.info("stopping: nothing new is started, what runs may take %d s more", seconds)
        self._notifier.stopping(seconds + 10 * _START_RETRY_SECONDS)
        if threads:
            self._server.presence.stopping()
        listener.close()
        self._server.streams.stop()
        if api is not None:
            concurrency.kill(api)
        for thread in threads[1:]:
            concurrency.kill(thread)
        self._server.worker.stop(seconds)
        self._let_answers_end(api, deadline)
        for driver in self._server.drivers.values():
            driver.close()
        if threads:
            self._server.presence.leave()
        self._server.database.close()
        # A second signal that comes while the interpreter ends would end it in its own way, as if something had failed.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        LOG.info("stopped")

    def _let_answers_end(self, api: concurrency.GreenThread | None, deadline: float) -> None:
        """Requests that are being answered: what was done for them would look to their callers as if it had failed."""
        while api is not None and not api.dead and self._signals < 2 and self._server.clock.monotonic() < deadline:
            concurrency.sleep(_LOOK_SECONDS)
