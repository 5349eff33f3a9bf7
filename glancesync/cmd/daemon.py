# SPDX-License-Identifier: Apache-2.0
"""The life of a server process: start in order, serve, reload, stop in order. Called by `glance-sync`."""
from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence

from oslo_config import cfg
from oslo_log import log

from glancesync import __version__, concurrency, serving
from glancesync import conf as options
from glancesync.cmd.build import Server, build
from glancesync.cmd.listener import listen
from glancesync.cmd.logs import make_inert
from glancesync.cmd.notify import Notifier
from glancesync.cmd.reload import Reloader, prepare_stores
from glancesync.cmd.starting import StartGate
from glancesync.db.alone import SoleUse
from glancesync.exceptions import ConfigurationError, GlanceSyncError
from glancesync.model.text import inert

LOG = logging.getLogger(__name__)
_PROG = "glance-sync"
_DESCRIPTION = ("The sync server: stays in the foreground and keeps the images of all regions in line until SIGTERM. "
                "Its configuration is looked for in ~/.glance-sync, ~, /etc/glance-sync and /etc (glance-sync.conf), "
                "unless --config-file names it; `glance-sync-manage config show` prints what it comes to.")
_EPILOG = "Exit status: 0 stopped by a signal, 1 cannot start or go on, 2 wrong usage or configuration."
_START_RETRY_SECONDS = 3.0
_TURN_SECONDS = 5.0


def run(arguments: Sequence[str]) -> int:
    """0 after a stop by signal, 2 when the configuration is wrong, 1 when the server cannot start or go on."""
    try:
        conf = options.parse(arguments, prog=_PROG, description=_DESCRIPTION, epilog=_EPILOG)
        log.setup(conf, _PROG, version=__version__)
        arrange_logs(conf)
        server = build(conf)
        server.stores.read(server.settings.stores.config_file)  # what is wrong with it refuses the start at once
        reloader = Reloader(arguments=arguments, prog=_PROG, conf=conf, live=server.live,
                            prepared=[prepare_stores(server.stores)],
                            told=[*server.told, lambda _before, _after: arrange_logs(conf)])
        return _Daemon(server, reloader, Notifier(os.environ)).run()
    except ConfigurationError as error:
        print(f"glance-sync: {inert(str(error))}", file=sys.stderr)
        return 2
    except GlanceSyncError as error:
        print(f"glance-sync: {inert(str(error))}", file=sys.stderr)
        return 1


def arrange_logs(conf: cfg.ConfigOpts) -> None:
    """One line per outcome is for everybody, one per request for who asks for it. Nobody's text steers a terminal."""
    make_inert(logging.getLogger())
    logging.getLogger("glancesync.access").setLevel(logging.DEBUG if conf.debug else logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It warns at each start of what an operator cannot change or need not.
    logging.getLogger("keystonemiddleware").setLevel(logging.WARNING if conf.debug else logging.ERROR)


class _Daemon:
    def __init__(self, server: Server, reloader: Reloader, notifier: Notifier) -> None:
        self._server = server
        self._reloader = reloader
        self._notifier = notifier
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
        alone = SoleUse(server.settings.server.connection)
        alone.take()
        listener = listen(server.settings.server)
        api = concurrency.spawn(self._serve, listener)
        threads: list[concurrency.GreenThread] = []
        if self._wait_for_regions():
            threads = self._start()
            LOG.info("glance-sync %s serves on %s:%d", __version__, *listener.getsockname()[:2])
            self._notifier.ready(self._describe())
            self._go_on()
        self._stop(listener, api, threads)
        alone.release()
        return 1 if self._ended else 0

    def _start(self) -> list[concurrency.GreenThread]:
        server = self._server
        server.region_timer.run_once()  # before anything is queued under a name that a region did not have before
        server.freeze_timer.run_once()  # nor is anything written to what was frozen before
        server.directory.before_change(server.region_watch.write_down)
        threads = [concurrency.spawn(server.worker.run_forever),
                   concurrency.spawn(server.reconcile_timer.run_forever),
                   concurrency.spawn(server.region_timer.run_forever),
                   concurrency.spawn(server.scrub_timer.run_forever),
                   concurrency.spawn(server.purge_timer.run_forever),
                   concurrency.spawn(server.prober.run_forever),
                   concurrency.spawn(server.freeze_timer.run_forever),
                   concurrency.spawn(server.fill_timer.run_forever),
                   concurrency.spawn(server.presence.run_forever)]
        if server.feed is not None:
            threads.append(concurrency.spawn(server.feed.run_forever))
        for thread in threads:
            thread.link(self._on_end)
        self._gate.open()
        return threads

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

    def _stop(self, listener: socket.socket, api: concurrency.GreenThread,
              threads: list[concurrency.GreenThread]) -> None:
        self._stopping = True
        seconds = self._server.settings.server.graceful_shutdown_seconds
        if self._ended:
            LOG.error("stopping, because a part of the server ended by itself: %s", self._ended)
        LOG.info("stopping: nothing new is started, what runs may take %d s more", seconds)
        self._notifier.stopping(seconds + 10 * _START_RETRY_SECONDS)
        if threads:
            self._server.presence.stopping()
        listener.close()
        self._server.streams.stop()
        concurrency.kill(api)
        for thread in threads[1:]:
            concurrency.kill(thread)
        self._server.worker.stop(seconds)
        for driver in self._server.drivers.values():
            driver.close()
        if threads:
            self._server.presence.leave()
        self._server.database.close()
        LOG.info("stopped")
