# SPDX-License-Identifier: Apache-2.0
"""Takes over what changed in the configuration files while the server runs. Called by the daemon on SIGHUP."""
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial

from keystoneauth1.session import Session
from oslo_config import cfg

from glancesync import conf as options
from glancesync.conf import Settings, keystone
from glancesync.conf.changes import list_changes
from glancesync.conf.given import Given, read_given
from glancesync.conf.live import LiveSettings
from glancesync.conf.strategy import StrategySettings
from glancesync.exceptions import ConfigurationError
from glancesync.regions.factory import RegionClients
from glancesync.stores.book import StoreBook

LOG = logging.getLogger(__name__)
#: (settings before, settings now): for what keeps something of them.
Told = Callable[[Settings, Settings], None]
#: (settings to be): reads what they name beside the configuration files, or raises ConfigurationError; what it returns
#: puts that in force.
Prepared = Callable[[Settings], Callable[[], None]]


class Reloader:
    """All or nothing: new settings are put in force only when every file is right.

    `told` are called afterwards, in order; `prepared` before, and what they return then. `conf` is the parsed
    configuration of `arguments`; oslo.log follows it too.
    """

    def __init__(self, *, arguments: Sequence[str], prog: str, conf: cfg.ConfigOpts, live: LiveSettings,
                 told: Sequence[Told], prepared: Sequence[Prepared] = ()) -> None:
        self._arguments = arguments
        self._prog = prog
        self._conf = conf
        self._live = live
        self._told = told
        self._prepared = prepared
        self._started_with = self._last = read_given(arguments, prog=prog)

    def reload(self) -> bool:
        """Whether the files were right. Logs each option that changed, and each that a restart has to change."""
        read = self._read()
        if isinstance(read, Exception):
            LOG.error("the configuration was not reloaded, all of the old one stays in force: %s", read)
            return False
        given, puts = read
        before, after = self._live.now, options.read_settings(self._conf)
        self._live.take(after)
        for put in puts:
            put()
        for tell in self._told:
            tell(before, after)
        changed = [each for each in list_changes(self._last, given) if each.at_once]
        waiting = [each for each in list_changes(self._started_with, given) if not each.at_once]
        self._last = given
        for each in changed:
            LOG.info("reloaded: %s", each)
        for each in waiting:
            LOG.warning("not reloaded, needs a restart: %s", each)
        LOG.info("the configuration was reloaded: %d options changed, %d need a restart", len(changed), len(waiting))
        return True

    def _read(self) -> tuple[Given, list[Callable[[], None]]] | Exception:
        """Every file, and all that is made of them, before anything changes; what is wrong with it."""
        try:
            given = read_given(self._arguments, prog=self._prog)
            to_be = options.read_settings(options.parse(self._arguments, prog=self._prog))
            puts = [prepare(to_be) for prepare in self._prepared]
            self._mutate()
        except (ConfigurationError, cfg.Error) as error:
            return error
        return given, puts

    def _mutate(self) -> None:
        """oslo.config would tell in words of its own what is told above, secrets too."""
        words = logging.getLogger("oslo_config")
        level = words.level
        words.setLevel(logging.ERROR)
        try:
            self._conf.mutate_config_files()
        finally:
            words.setLevel(level)


def prepare_stores(book: StoreBook) -> Prepared:
    """glance_store.yaml belongs to the configuration: with a wrong one nothing of it is taken."""
    def prepare(settings: Settings) -> Callable[[], None]:
        book.check_order(settings.stores.drivers)
        return partial(book.take, book.read(settings.stores.config_file))

    return prepare


def tell_chores(compare: Callable[[], None]) -> Told:
    """Another choice of regions or images has to be looked for."""
    def tell(before: Settings, after: Settings) -> None:
        def differs(section: str, *names: str) -> bool:
            one, two = getattr(before, section), getattr(after, section)
            return any(getattr(one, name) != getattr(two, name) for name in names)

        if (differs("sync", "sync_strategy", "transient_property", "leave_alone", "adopt_by_hash", "max_restores")
                or differs("strategy", *(field.name for field in fields(StrategySettings)))):
            compare()

    return tell


def tell_clients(clients: RegionClients, session: Session, connections: Callable[[Settings], int]) -> Told:
    """What connections keep of the settings they were made with."""
    def tell(before: Settings, after: Settings) -> None:
        if connections(before) != connections(after):
            keystone.keep_connections(session, connections(after))
        if before.transfer.idle_timeout_seconds != after.transfer.idle_timeout_seconds:
            clients.change_idle_timeout(after.transfer.idle_timeout_seconds)

    return tell
