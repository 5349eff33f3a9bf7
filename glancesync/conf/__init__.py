# SPDX-License-Identifier: Apache-2.0
"""The server's options: one module per section, `load()` turns files into frozen settings.

Nothing outside `cmd` reads oslo.config; everything else is handed the settings object of its section.
"""
from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from oslo_config import cfg

from glancesync.conf import (
    api,
    breaker,
    celery,
    deletion,
    doorbell,
    keystone,
    metrics,
    notifications,
    reconcile,
    server,
    stores,
    strategy,
    sync,
    transfer,
    web,
    worker,
)
from glancesync.exceptions import ConfigurationError

SECTIONS = (server, sync, strategy, transfer, stores, worker, celery, breaker, reconcile, deletion, api, web, metrics,
            notifications, doorbell)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All sections, frozen."""

    server: server.ServerSettings
    sync: sync.SyncSettings
    strategy: strategy.StrategySettings
    transfer: transfer.TransferSettings
    stores: stores.StoresSettings
    worker: worker.WorkerSettings
    celery: celery.CelerySettings
    breaker: breaker.BreakerSettings
    reconcile: reconcile.ReconcileSettings
    deletion: deletion.DeletionSettings
    api: api.ApiSettings
    web: web.WebSettings
    metrics: metrics.MetricsSettings
    notifications: notifications.NotificationSettings
    doorbell: doorbell.DoorbellSettings


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register every option of the server on the object given."""
    for section in SECTIONS:
        section.register_opts(conf)
    keystone.register_opts(conf)


def read_settings(conf: cfg.ConfigOpts) -> Settings:
    """The frozen settings of a parsed ConfigOpts; raises ConfigurationError naming option and allowed values."""
    try:
        return Settings(**{section.__name__.rpartition(".")[2]: section.read(conf) for section in SECTIONS})
    except cfg.Error as error:
        raise ConfigurationError(str(error)) from error


def new_conf() -> cfg.ConfigOpts:
    """A ConfigOpts of its own (never the global one) with our options and oslo.log's."""
    from oslo_log import log

    conf = cfg.ConfigOpts()
    log.register_options(conf)
    # What oslo.db gives up with a stack trace is told in one line by whoever asked.
    conf.set_default("default_log_levels", [*log.get_default_log_levels(), "oslo_db.api=CRITICAL"])
    register_opts(conf)
    return conf


def parse(arguments: Sequence[str], *, prog: str, conf: cfg.ConfigOpts | None = None,
          description: str | None = None, epilog: str | None = None) -> cfg.ConfigOpts:
    """Parse a command line (`--config-file ...`) and its files; `--help` begins and ends with the two texts. Raises
    ConfigurationError naming file, option and allowed values; also for what nothing would read."""
    from glancesync import __version__
    from glancesync.conf.given import read_given

    read_given(arguments, prog=prog)
    conf = conf or new_conf()
    try:
        conf(list(arguments), project="glance-sync", prog=prog, version=__version__, description=description,
             epilog=epilog)
    except cfg.Error as error:
        raise ConfigurationError(str(error)) from error
    return conf


def default_arguments() -> list[str]:
    """The process's own command-line arguments, without the program's name."""
    return sys.argv[1:]
