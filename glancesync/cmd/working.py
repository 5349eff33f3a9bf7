# SPDX-License-Identifier: Apache-2.0
"""The life of a worker: a server without an API, whose engine is brought messages. Called by `glance-sync-worker`."""
from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from oslo_config import cfg
from oslo_log import log

from glancesync import __version__, concurrency, serving
from glancesync import conf as options
from glancesync.api.errors import HttpError
from glancesync.api.middleware.errors import ErrorBorder
from glancesync.cmd.build import Core, build_core
from glancesync.cmd.life import Life
from glancesync.cmd.logs import arrange_logs
from glancesync.cmd.notify import Notifier
from glancesync.cmd.reload import Reloader, prepare_stores
from glancesync.exceptions import ConfigurationError, GlanceSyncError
from glancesync.metrics.processes import Here, HereCollector
from glancesync.metrics.stage import MetricsStage
from glancesync.model.text import inert

LOG = logging.getLogger(__name__)
_PROG = "glance-sync-worker"
_DESCRIPTION = ("Runs tasks that servers of the same database publish ([worker] engine = celery): stays in the "
                "foreground until SIGTERM. It reads the servers' configuration, from the same places, unless "
                "--config-file names it. Celery's own options are none of this program's: pool, acknowledgement and "
                "heartbeat have to be what they are.")
_EPILOG = "Exit status: 0 stopped by a signal, 1 cannot start or go on, 2 wrong usage or configuration."
_METRICS_CONNECTIONS = 20


class Consumer(Protocol):
    """What brings messages to the engine."""

    def run_forever(self, regions: Sequence[str]) -> None: ...

    def stop(self) -> None: ...


def run(arguments: Sequence[str]) -> int:
    """0 after a stop by signal, 2 when the configuration is wrong, 1 when the worker cannot start or go on."""
    try:
        conf = options.parse(arguments, prog=_PROG, description=_DESCRIPTION, epilog=_EPILOG)
        log.setup(conf, _PROG, version=__version__)
        arrange_logs(conf)
        return _new_worker(conf, arguments).run()
    except ConfigurationError as error:
        print(f"{_PROG}: {inert(str(error))}", file=sys.stderr)
        return 2
    except GlanceSyncError as error:
        print(f"{_PROG}: {inert(str(error))}", file=sys.stderr)
        return 1


def _new_worker(conf: cfg.ConfigOpts, arguments: Sequence[str]) -> _Worker:
    core = build_core(conf, runs_tasks=True)
    consumer: Consumer | None = getattr(core.worker, "consumer", None)
    if consumer is None:
        raise ConfigurationError(f"[worker] engine = {core.worker.name}: the servers run the tasks themselves; workers "
                                 "have something to do with engine = celery")
    core.stores.read(core.settings.stores.config_file)
    reloader = Reloader(arguments=arguments, prog=_PROG, conf=conf, live=core.live,
                        prepared=[prepare_stores(core.stores)],
                        told=[*core.told, lambda _before, _after: arrange_logs(conf)])
    return _Worker(core, consumer, reloader, Notifier(os.environ))


class _Worker(Life):
    def __init__(self, core: Core, consumer: Consumer, reloader: Reloader, notifier: Notifier) -> None:
        super().__init__(core, reloader, notifier)
        self._consumer = consumer

    def run(self) -> int:
        self._heed_signals()
        core = self._core
        core.database.open()
        core.clock.follow(core.database)  # before anything is written down or decided
        threads: list[concurrency.GreenThread] = []
        if self._wait_for_regions():
            self._look_at_regions()
            threads = self._spawn([core.worker.run_forever, self._consume, core.region_timer.run_forever,
                                   core.prober.run_forever, core.freeze_timer.run_forever, core.presence.run_forever,
                                   *self._metrics()])
            LOG.info("%s %s runs up to %d tasks at once", _PROG, __version__, core.worker.capacity)
            self._notifier.ready(self.describe())
            self._go_on()
        self._stop(threads)
        return 1 if self._ended else 0

    def describe(self) -> str:
        worker = self._core.worker
        trouble = f"; {worker.trouble}" if worker.trouble else ""
        return f"{worker.running} of at most {worker.capacity} tasks run{trouble}"

    def _consume(self) -> None:
        regions = [region.name for region in self._core.directory.cascaded()]
        self._consumer.run_forever(regions)

    def _metrics(self) -> list[Callable[[], None]]:
        """GET /metrics, where that is wanted: a loop that answers."""
        core = self._core
        settings = core.settings.celery
        if not settings.metrics_port:
            return []
        try:
            listener = concurrency.listen(settings.metrics_host, settings.metrics_port)
        except OSError as error:
            raise ConfigurationError(f"[celery] metrics_host and metrics_port: nothing can listen on "
                                     f"{settings.metrics_host}:{settings.metrics_port}: {error.strerror}") from error
        here = Here(running=lambda: core.worker.running, internal_errors=lambda: core.worker.internal_errors,
                    listeners=lambda: 0)
        core.registries.told.register(HereCollector(here))
        stage = MetricsStage(_nothing_else, registry=core.registries.told, trusts_proxy=False,
                             allowed=core.settings.metrics.allowed_addresses)
        return [lambda: serving.serve(listener, ErrorBorder(stage), pool=concurrency.GreenPool(_METRICS_CONNECTIONS),
                                      log=logging.getLogger("glancesync.access"), limits=serving.ConnectionLimits())]

    def _stop(self, threads: list[concurrency.GreenThread]) -> None:
        """Messages first, so that nothing new is claimed, then what runs."""
        seconds = self._begin_to_stop()
        core = self._core
        if threads:
            core.presence.stopping()
            self._consumer.stop()
        for thread in threads[2:]:
            concurrency.kill(thread)
        core.worker.stop(seconds)
        for thread in threads[1:2]:
            concurrency.kill(thread)  # Celery's loop, where it waits for a broker that is away
        for driver in core.drivers.values():
            driver.close()
        if threads:
            core.presence.leave()
        core.database.end()
        self._say_stopped()


def _nothing_else(_environ: Any, _start_response: Any) -> Any:
    raise HttpError(404, "There is /metrics alone.")
