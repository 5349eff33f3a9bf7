# SPDX-License-Identifier: Apache-2.0
"""The life of a server process: start in order, serve, stop in order. Called by `glance-sync`."""
from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Sequence

from oslo_config import cfg
from oslo_log import log

from glancesync import __version__, concurrency, serving
from glancesync import conf as options
from glancesync.cmd.build import Server, build
from glancesync.cmd.logs import make_inert
from glancesync.conf.unknown import refuse_unknown_options
from glancesync.db.alone import SoleUse
from glancesync.exceptions import ConfigurationError, GlanceSyncError
from glancesync.model.text import inert

LOG = logging.getLogger(__name__)
_START_RETRY_SECONDS = 3.0


def run(arguments: Sequence[str]) -> int:
    """0 after a stop by signal, 2 when the configuration is wrong, 1 when the server cannot start."""
    try:
        conf = options.parse(arguments, prog="glance-sync")
        refuse_unknown_options(conf)
        log.setup(conf, "glance-sync", version=__version__)
        make_inert(logging.getLogger())
        # One line per outcome is for everybody, one per request for who asks for it.
        logging.getLogger("glancesync.access").setLevel(logging.DEBUG if conf.debug else logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        server = build(conf)
        return _Daemon(server, conf).run()
    except ConfigurationError as error:
        print(f"glance-sync: {inert(str(error))}", file=sys.stderr)
        return 2
    except GlanceSyncError as error:
        print(f"glance-sync: {inert(str(error))}", file=sys.stderr)
        return 1


class _Daemon:
    def __init__(self, server: Server, conf: cfg.ConfigOpts) -> None:
        self._server = server
        self._conf = conf
        self._stopping = concurrency.Doorbell()
        self._signals = 0

    def run(self) -> int:
        server = self._server
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        server.database.open()
        alone = SoleUse(server.settings.server.connection)
        alone.take()
        listener = self._listen()
        self._wait_for_regions()
        server.region_timer.run_once()  # before anything is queued under a name that a region did not have before
        threads = [concurrency.spawn(server.worker.run_forever),
                   concurrency.spawn(server.reconcile_timer.run_forever),
                   concurrency.spawn(server.region_timer.run_forever),
                   concurrency.spawn(server.scrub_timer.run_forever),
                   concurrency.spawn(server.purge_timer.run_forever),
                   concurrency.spawn(server.prober.run_forever)]
        api = concurrency.spawn(self._serve, listener)
        LOG.info("glance-sync %s serves on %s:%d", __version__, *listener.getsockname()[:2])
        while not self._signals:
            self._stopping.wait(3600)
        self._stop(listener, api, threads)
        alone.release()
        return 0

    def _listen(self) -> socket.socket:
        settings = self._server.settings.server
        try:
            return concurrency.listen(settings.bind_host, settings.bind_port, settings.backlog)
        except OSError as error:
            raise ConfigurationError(f"bind_host {settings.bind_host} bind_port {settings.bind_port} cannot be "
                                     f"listened on: {error}") from error

    def _serve(self, listener: socket.socket) -> None:
        settings = self._server.settings.api
        limits = serving.ConnectionLimits(socket_timeout_seconds=settings.client_timeout_seconds,
                                          keepalive_seconds=settings.client_timeout_seconds)
        pool = concurrency.GreenPool(settings.max_connections)
        serving.serve(listener, self._server.app, pool=pool, log=logging.getLogger("glancesync.access"),
                      limits=limits)

    def _wait_for_regions(self) -> None:
        """A Keystone that is down at our start delays it; a wrong configuration ends it."""
        while not self._signals:
            try:
                self._server.directory.load()
                return
            except ConfigurationError:
                raise
            except GlanceSyncError as error:
                LOG.warning("the start waits for Keystone: %s", error)
                self._stopping.wait(_START_RETRY_SECONDS)

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signals += 1
        if self._signals > 1:
            concurrency.spawn(self._server.worker.stop, 0)
        self._stopping.ring()

    def _stop(self, listener: socket.socket, api: concurrency.GreenThread,
              threads: list[concurrency.GreenThread]) -> None:
        seconds = self._server.settings.server.graceful_shutdown_seconds
        LOG.info("stopping: nothing new is started, what runs may take %d s more", seconds)
        listener.close()
        concurrency.kill(api)
        for thread in threads[1:]:
            concurrency.kill(thread)
        self._server.worker.stop(seconds)
        self._server.database.close()
        LOG.info("stopped")
