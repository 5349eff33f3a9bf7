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
from glancesync.cmd.life import Life
from glancesync.cmd.logs import arrange_logs
from glancesync.cmd.place import Place
from glancesync.cmd.reload import Reloader, prepare_stores
from glancesync.cmd.standing import Standing
from glancesync.cmd.starting import StartGate

LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 0.05
#: For loops that were ended to give back what they held.
_LEAVE_SECONDS = 3.0


def serve(conf: cfg.ConfigOpts, arguments: Sequence[str], *, prog: str, place: Place | None) -> int:
    """0 after a stop by signal, 1 when the server cannot go on. `place`: this is one of several processes. Raises
    ConfigurationError, and NotReadyError when it cannot start."""
    server = build(conf, place)
    server.stores.read(server.settings.stores.config_file)  # what is wrong with it refuses the start at once
    reloader = Reloader(arguments=arguments, prog=prog, conf=conf, live=server.live,
                        prepared=[prepare_stores(server.stores)],
                        told=[*server.told, lambda _before, _after: arrange_logs(conf)])
    return _Daemon(server, reloader, Standing(server.settings.server, place, os.environ)).run()


class _Daemon(Life):
    def __init__(self, server: Server, reloader: Reloader, standing: Standing) -> None:
        super().__init__(server, reloader, standing.notifier)
        self._server = server
        self._standing = standing
        self._gate = StartGate(server.app)

    def run(self) -> int:
        self._heed_signals()
        server = self._server
        server.database.open()
        server.clock.follow(server.database)  # before anything is written down or decided
        listener = self._standing.take()
        self._standing.when_orphaned(self._on_orphaned)
        api = concurrency.spawn(self._serve, listener) if self._standing.answers_early else None
        threads: list[concurrency.GreenThread] = []
        if self._wait_for_regions():
            self._look_at_regions()
            if self._standing.begins:
                self._begin()
            threads = self._spawn(self._loops())
            self._gate.open()
            api = api or concurrency.spawn(self._serve, listener)
            LOG.info("glance-sync %s %s %s:%d", __version__, self._standing.words, *listener.getsockname()[:2])
            self._notifier.ready(self.describe())
            self._go_on()
        self._stop(listener, api, threads)
        self._standing.release()
        return 1 if self._ended else 0

    def _begin(self) -> None:
        """Once in a start of the server, not again with a process of it that is started again."""
        self._server.chores.recover()
        if self._server.settings.reconcile.reconcile_at_start:
            self._server.ask_for_comparison()

    def _loops(self) -> list[Callable[[], None]]:
        """The worker first. Of several processes one alone listens; what is done once for all is a chore's turn."""
        server = self._server
        each = [server.worker.run_forever, server.region_timer.run_forever, server.prober.run_forever,
                server.freeze_timer.run_forever, server.presence.run_forever, server.chores.run_forever]
        each += [server.shared_bell.run_forever] if server.shared_bell is not None else []
        listens = self._standing.is_first and server.feed is not None
        return [*each, server.feed.run_forever] if listens and server.feed is not None else each

    def describe(self) -> str:
        settings = self._server.settings.server
        return (f"serves on {settings.bind_host}:{settings.bind_port}, {len(self._server.directory.cascaded())} "
                f"cascaded regions, {self._server.worker.running} tasks run")

    def waits(self, why: str) -> None:
        self._gate.wait_for(why)

    def turn(self) -> None:
        self._server.show_here()

    def _serve(self, listener: socket.socket) -> None:
        settings = self._server.settings.api
        limits = serving.ConnectionLimits(socket_timeout_seconds=settings.client_timeout_seconds,
                                          keepalive_seconds=settings.client_timeout_seconds)
        pool = concurrency.GreenPool(settings.max_connections)
        serving.serve(listener, self._gate, pool=pool, log=logging.getLogger("glancesync.access"),
                      limits=limits)

    def _on_orphaned(self) -> None:
        """Nobody is left who would start this process again, or tell it to end: another server may wait for its end."""
        self._ended = "the process that started it is gone"
        self._on_signal(signal.SIGTERM, None)
        concurrency.spawn(self._server.worker.stop, 0)

    def _stop(self, listener: socket.socket, api: concurrency.GreenThread | None,
              threads: list[concurrency.GreenThread]) -> None:
        seconds = self._begin_to_stop()
        deadline = self._server.clock.monotonic() + seconds
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
        self._let_loops_end(threads)
        if threads:
            self._server.presence.leave()
        self._server.database.end()
        self._say_stopped()

    def _let_loops_end(self, threads: list[concurrency.GreenThread]) -> None:
        deadline = self._server.clock.monotonic() + _LEAVE_SECONDS
        while any(not thread.dead for thread in threads) and self._server.clock.monotonic() < deadline:
            concurrency.sleep(_LOOK_SECONDS)

    def _let_answers_end(self, api: concurrency.GreenThread | None, deadline: float) -> None:
        """Requests that are being answered: what was done for them would look to their callers as if it had failed."""
        while api is not None and not api.dead and self._signals < 2 and self._server.clock.monotonic() < deadline:
            concurrency.sleep(_LOOK_SECONDS)
