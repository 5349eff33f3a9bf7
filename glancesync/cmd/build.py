# SPDX-License-Identifier: Apache-2.0
"""Puts the server's objects together. The one place where options become objects."""
from __future__ import annotations

import os
import random
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from keystoneauth1 import exceptions as keystone_errors
from keystoneauth1.session import Session
from oslo_config import cfg
from oslo_middleware.http_proxy_to_wsgi import OPTS as PROXY_OPTS
from oslo_policy import policy

from glancesync import __version__
from glancesync.api.app import load_app
from glancesync.api.parts import Parts
from glancesync.api.policies import new_enforcer
from glancesync.clock import Clock, SystemClock
from glancesync.cmd.hearing import new_bell, new_feed
from glancesync.cmd.joints import rings, spared, suspecting, waking
from glancesync.cmd.outward import Outward, build_stages, keystone_of
from glancesync.cmd.place import Place, server_name
from glancesync.cmd.reload import Told, tell_chores, tell_clients
from glancesync.concurrency import Doorbell
from glancesync.conf import Settings, keystone, read_settings
from glancesync.conf.live import LiveSettings
from glancesync.db.engine import Database
from glancesync.db.following import DatabaseClock
from glancesync.exceptions import ConfigurationError, RegionUnavailableError
from glancesync.metrics.collector import StateCollector
from glancesync.metrics.counters import Counters
from glancesync.metrics.processes import Here, Registries, SharedGauges, new_registries
from glancesync.model.server import Power, ServerIdentity
from glancesync.model.task import Outcome
from glancesync.regions.catalog import Catalog
from glancesync.regions.directory import RegionDirectory
from glancesync.regions.factory import RegionClients
from glancesync.regions.health import RegionHealth
from glancesync.regions.prober import RegionProber
from glancesync.regions.projects import Projects
from glancesync.service import Service
from glancesync.service.bell import SharedBell
from glancesync.service.breakers import SharedBreakers
from glancesync.service.chores import ChoreRunner, ask_at_start, ask_now
from glancesync.service.feed import NotificationFeed
from glancesync.service.freezing import FreezeTimer, FreezingGate, FrozenRegions
from glancesync.service.history import History
from glancesync.service.regions import RegionWatch
from glancesync.service.servers import Presence
from glancesync.service.timers import FillChore, PurgeChore, ReconcileChore, RegionTimer, ScrubChore, StatisticsChore
from glancesync.stores.book import StoreBook
from glancesync.stores.driver import STREAM, CopyDriver
from glancesync.stores.loading import DriverOptions, load_drivers
from glancesync.sync.base import BaseFinder, Savings
from glancesync.sync.choice import RegionChooser
from glancesync.sync.context import SyncContext
from glancesync.sync.converge import Converger
from glancesync.sync.execute import Executor
from glancesync.sync.owners import Owners
from glancesync.sync.preflight import Preflight
from glancesync.sync.readers import SharedReaders
from glancesync.sync.records import ReplicaRecords
from glancesync.sync.shortcut import StoreShortcut
from glancesync.sync.sight import RegionSight
from glancesync.sync.sources import Sources
from glancesync.sync.tee import Tee
from glancesync.sync.trust import SourceTrust
from glancesync.tasks.engine import Engine, EngineParts, load_engine
from glancesync.tasks.handle import TaskHandle
from glancesync.tasks.queue import TaskQueue, new_owner
from glancesync.web.stream import Streams

_PACKAGED_PASTE = Path(__file__).resolve().parent.parent / "api" / "glance-sync-paste.ini"


@dataclass(frozen=True, kw_only=True)
class Core:
    """What every process that runs tasks starts and stops, with or without an API. `told` is whom a reload of `live`
    concerns; `bell` rings when somebody asks for a comparison, and wakes the chores of this process, where it has
    any."""

    live: LiveSettings
    settings: Settings
    told: Sequence[Told]
    session: Session
    registries: Registries
    stores: StoreBook
    drivers: Mapping[str, CopyDriver]
    database: Database
    directory: RegionDirectory
    queue: TaskQueue
    worker: Engine
    service: Service
    trust: SourceTrust
    sight: RegionSight
    region_timer: RegionTimer
    region_watch: RegionWatch
    prober: RegionProber
    freeze_timer: FreezeTimer
    presence: Presence
    bell: Doorbell
    shared_bell: SharedBell | None
    clock: DatabaseClock

    def take_stores(self) -> None:
        """Put glance_store.yaml in force, once the regions are known. Raises ConfigurationError."""
        self.stores.check_order(self.settings.stores.drivers)
        self.stores.take(self.stores.read(self.settings.stores.config_file))


@dataclass(frozen=True, kw_only=True)
class Server(Core):
    """Everything that the daemon of `glance-sync` starts and stops."""

    chores: ChoreRunner
    ask_for_comparison: Callable[[], None]
    streams: Streams
    feed: NotificationFeed | None
    app: Any
    show_here: Callable[[], None]


def build(conf: cfg.ConfigOpts, place: Place | None = None) -> Server:
    """Raises ConfigurationError; connects to nothing. `place`: for one of several processes."""
    core = build_core(conf, place)
    settings, database, worker, service, clock = core.settings, core.database, core.worker, core.service, core.clock
    streams = Streams(source=service, clock=clock, most=settings.web.max_streams,
                      guard=worker.guard)
    here = Here(running=lambda: worker.running, internal_errors=lambda: worker.internal_errors,
                listeners=lambda: streams.listeners)
    core.registries.told.register(StateCollector(
        source=service, clock=clock, cache_seconds=lambda: settings.metrics.cache_seconds,
        here=None if place else here))
    parts = _parts(conf, service, lambda enforcer: Outward(
        settings=settings, identity=keystone_of(core.session, conf.keystone.read_timeout_seconds), enforcer=enforcer,
        streams=streams, registry=core.registries.told, clock=clock,
        trusts_proxy=conf.oslo_middleware.enable_proxy_headers_parsing), settings)
    told: list[Told] = [
        *([tell_chores(partial(ask_now, database, core.bell.ring))] if place is None or place.is_first else []),
        *core.told, lambda _before, _after: parts.enforcer.load_rules(True)]
    return Server(
        **{**vars(core), "told": told},
        ask_for_comparison=partial(ask_at_start, database, socket.gethostname()),
        chores=ChoreRunner(
            database=database, owner=core.queue.owner, bell=core.bell, clock=clock, guard=worker.guard, work=[
                each.chore() for each in (
                    ReconcileChore(service=service, settings=settings.reconcile, database=database, clock=clock),
                    FillChore(filling=service.filling, settings=settings.reconcile, clock=clock, guard=worker.guard),
                    ScrubChore(service=service, settings=settings.reconcile),
                    *([] if database.is_sqlite else [StatisticsChore(database)]),
                    PurgeChore(database=database, queue=core.queue, settings=settings.worker, clock=clock,
                               history=History(database=database, deletion=settings.deletion,
                                               sync=settings.sync)))]),
        streams=streams,
        feed=new_feed(conf, settings.notifications, service=service, clock=clock, guard=worker.guard),
        app=load_app(parts, _paste_file(conf, settings)),
        show_here=SharedGauges(core.registries.counted, here).show if place else lambda: None)


def build_core(conf: cfg.ConfigOpts, place: Place | None = None, *, runs_tasks: bool = False) -> Core:
    """As `build`, for a process without an API. `runs_tasks`: it is one of those that the engine has run the tasks."""
    live, clock = LiveSettings(read_settings(conf)), DatabaseClock(SystemClock())
    settings = live.sections  # each reading of them gives what is in force then
    database = Database(settings.server.connection)
    directory, clients, session = _directory(conf, settings, clock)
    registries = new_registries(several=place is not None)
    counters = Counters(registries.counted, registries.told)
    queue = TaskQueue(database, place.owner if place else new_owner(server_name(settings.server)), settings.worker)
    records = ReplicaRecords(database, clock)
    trust = SourceTrust(database=database, directory=directory, settings=settings.deletion, clock=clock)
    frozen = FrozenRegions(database, clock)
    sight = RegionSight(database=database, trust=trust, directory=directory, settings=settings.sync, clock=clock,
                        is_frozen=frozen.is_frozen)
    owners = Owners(projects=Projects(session=session, timeout_seconds=conf.keystone.read_timeout_seconds),
                    settings=settings.strategy, clock=clock)
    drivers = _drivers(settings, clock)
    stores = StoreBook(directory.known, {*drivers, STREAM})
    health = RegionHealth(settings=settings.breaker, clock=clock, source=directory.known_cascading,
                          breakers=SharedBreakers(database, queue.owner))
    readers = SharedReaders(database, queue.owner)
    sources = Sources(clock=clock, readers=readers, list_held=records.list_held,
                      most=lambda: settings.transfer.max_reads_per_source,
                      why_not=spared(health, frozen), woken=lambda image_id: wake(image_id))
    tee = Tee(settings.transfer, readers)
    shortcut = StoreShortcut(drivers=drivers, find_stores=stores.find, regions=directory.known, clock=clock,
                             order=lambda: settings.stores.drivers, sources=sources, gathers=tee.gathers,
                             read_facts=lambda region: preflight.facts(region),
                             client=directory.client, suspect=suspecting(records, queue), why_unseen=sight.look,
                             savings=_savings(settings, records))
    preflight = Preflight(read_facts=lambda region: directory.client(region).get_facts(), clock=clock,
                          read_free=shortcut.find_free_bytes, settings=settings.transfer)
    context = SyncContext(directory=directory, records=records, trust=trust, sight=sight, settings=settings.sync,
                          chooser=RegionChooser(settings=settings.sync, strategy=settings.strategy, owners=owners),
                          clock=clock, meter=counters, preflight=preflight,
                          service_project_id=_service_project(session), wait_seconds=settings.worker.wait_seconds,
                          page_size=settings.reconcile.list_page_size)
    executor = Executor(records=records, trust=trust, sight=sight, tee=tee, clock=clock,
                        new_id=lambda: str(uuid.uuid4()), meter=counters, shortcut=shortcut)
    converger = Converger(context, executor)
    worker = load_engine(settings.worker.engine, EngineParts(
        database=database, queue=queue, run=_runner(converger), settings=settings.worker, celery=settings.celery,
        clock=clock, random=random.SystemRandom().random, gate=FreezingGate(health, frozen), watch=counters,
        recovers=place is None, runs_tasks=runs_tasks, servers=lambda: presence.serving))
    presence = Presence(database=database, clock=clock, guard=worker.guard, identity=ServerIdentity(
        name=queue.owner, host=socket.gethostname(), pid=os.getpid(), version=__version__, engine=worker.name),
        power=lambda: Power(capacity=worker.capacity, trouble=worker.trouble))
    wake = waking(queue, worker)
    bell = Doorbell()
    shared = None if runs_tasks else new_bell(conf, settings.doorbell, heard=worker.ring, clock=clock,
                                              guard=worker.guard)
    service = Service(database=database, queue=queue, context=context, converger=converger,
                      ring=rings(worker, shared), request_reconcile=bell.ring, health=health, frozen=frozen,
                      shortcut=shortcut)
    watch = RegionWatch(database=database, directory=directory, clock=clock, request_reconcile=bell.ring)
    return Core(
        live=live, settings=settings, told=[tell_clients(clients, session, _connections)], session=session,
        registries=registries, stores=stores, drivers=drivers,
        database=database, directory=directory, queue=queue, worker=worker, service=service,
        trust=trust, sight=sight,
        region_watch=watch,
        region_timer=RegionTimer(watch=watch, settings=settings.sync, clock=clock, guard=worker.guard),
        prober=RegionProber(directory=directory, health=health, clock=clock, woken=worker.ring, guard=worker.guard),
        freeze_timer=FreezeTimer(frozen=frozen, clock=clock, stop_runs=worker.stop_runs, woken=worker.ring,
                                 guard=worker.guard),
        presence=presence, bell=bell, shared_bell=shared, clock=clock)


def _savings(settings: Settings, records: ReplicaRecords) -> Savings:
    stores = settings.stores
    return Savings(hash_on_host=lambda: stores.hash_on_host, find_base=BaseFinder(
        records=records, properties=lambda: stores.base_image_properties).find)


def _drivers(settings: Settings, clock: Clock) -> dict[str, CopyDriver]:
    stores = settings.stores
    return load_drivers(DriverOptions(clock=clock, copy_timeout_seconds=lambda: stores.scp_copy_timeout_seconds,
                                      shell_tries=lambda: stores.num_shell_tries,
                                      import_interface=lambda: stores.glance_download_interface))


def _parts(conf: cfg.ConfigOpts, service: Service, outward: Callable[[policy.Enforcer], Outward],
           settings: Settings) -> Parts:
    enforcer = new_enforcer(conf)
    conf.register_opts(PROXY_OPTS, group="oslo_middleware")
    return Parts(service=service, settings=settings.api, enforcer=enforcer, conf=conf,
                 stages=build_stages(outward(enforcer)))


def _directory(conf: cfg.ConfigOpts, settings: Settings,
               clock: Clock) -> tuple[RegionDirectory, RegionClients, Session]:
    try:
        _auth, session = keystone.load_session(conf, connections=_connections(settings))
    except keystone_errors.ClientException as error:
        raise ConfigurationError(f"[keystone] does not describe a user: {error}") from error
    options = conf.keystone
    clients = RegionClients(session=session, connect_timeout_seconds=options.connect_timeout_seconds,
                            read_timeout_seconds=options.read_timeout_seconds,
                            idle_timeout_seconds=settings.transfer.idle_timeout_seconds,
                            call_timeout_seconds=options.call_timeout_seconds)
    catalog = Catalog(session=session, timeout_seconds=options.read_timeout_seconds)
    return RegionDirectory(catalog=catalog, clients=clients, settings=settings.sync, interface=options.interface,
                           clock=clock), clients, session


def _connections(settings: Settings) -> int:
    """To each host: the source serves the tasks of all regions, a target its own."""
    return 4 * settings.worker.max_tasks_per_region


def _service_project(session: Any) -> Any:
    @cache
    def project_id() -> str:
        try:
            found = session.get_project_id()
        except keystone_errors.ClientException as error:
            raise RegionUnavailableError(f"Keystone did not say which project the service user works in: {error}",
                                         ) from error
        if not found:
            raise ConfigurationError("[keystone] names no project; replicas are created under the service user's "
                                     "project, so set project_name")
        return str(found)

    return project_id


def _runner(converger: Converger) -> Any:
    """What the worker runs for each task."""
    def run(handle: TaskHandle) -> Outcome:
        ended = converger.converge(handle.task.image_id, handle.task.region, handle)
        return Outcome(code=ended.plan.code, reason=ended.plan.reason, bytes_moved=ended.bytes_moved,
                       delay_seconds=ended.plan.delay_seconds)

    return run


def _paste_file(conf: cfg.ConfigOpts, settings: Settings) -> Path:
    named = Path(settings.server.api_paste_config)
    beside = [Path(name).resolve().parent / named for name in conf.config_file or ()]
    for candidate in [named] if named.is_absolute() else [*beside, _PACKAGED_PASTE]:
        if candidate.is_file():
            return candidate
    raise ConfigurationError(f"api_paste_config {named} does not exist; it was looked up beside the configuration")
