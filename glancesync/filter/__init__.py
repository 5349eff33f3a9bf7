# SPDX-License-Identifier: Apache-2.0
"""What loads inside the cascading region's glance-api.

glance-api-paste.ini names `filter_factory`; loading it puts `ImageRepoProxy` and `MemberRepoProxy` around Glance's
repositories. The WSGI filter itself passes everything through: an authenticated request tells that this process
serves, so that its sender may run. It may stand anywhere in the pipeline.

    [filter:glancesync]
    paste.filter_factory = glancesync.filter:filter_factory
"""
from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from oslo_config import cfg

from glancesync.client import SyncClient
from glancesync.clock import SystemClock
from glancesync.exceptions import ConfigurationError
from glancesync.filter.complaints import Complaints, Guard, quiet_keystoneauth
from glancesync.filter.daemon import SenderThread
from glancesync.filter.options import FilterSettings, read_settings
from glancesync.filter.outbox import Outbox
from glancesync.filter.reporter import Reporter
from glancesync.filter.sender import Sender

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

__all__ = ["filter_factory"]


def filter_factory(global_conf: Mapping[str, str], **local_conf: str) -> Callable[[Application], Application]:
    """Paste's entry. Raises ConfigurationError, which stops Glance's start, when an option is wrong or unknown.

    Glance's own configuration must be parsed, as it is when Glance loads its pipeline.
    """
    settings = read_settings(_conf_like_glance(), local_conf, global_conf.get("__file__"))
    if not settings.enabled:
        return lambda application: application
    reporter = _install_once(settings)
    return lambda application: _Filter(application, reporter)


class _Filter:
    """Passes everything through."""

    def __init__(self, application: Application, reporter: Reporter) -> None:
        self._application = application
        self._reporter = reporter

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self._reporter.ensure_running()
        return self._application(environ, start_response)


def _conf_like_glance() -> cfg.ConfigOpts:
    """A ConfigOpts of our own over the files that Glance was started with."""
    conf = cfg.ConfigOpts()
    try:
        conf([], project="glance", prog="glance-api", default_config_files=list(cfg.CONF.config_file or ()),
             default_config_dirs=list(cfg.CONF.config_dir or ()))
    except cfg.NoSuchOptError as error:
        raise ConfigurationError("the filter can be loaded by glance-api only, after its configuration") from error
    return conf


def _install_once(settings: FilterSettings) -> Reporter:
    """The layers of this process; a pipeline that is loaded again finds those that stand."""
    from glancesync.filter import proxies

    reporter = proxies.find_installed()
    if reporter is None:
        reporter, thread = assemble(settings)
        proxies.install(reporter)
        quiet_keystoneauth()
        os.register_at_fork(before=reporter.before_fork, after_in_child=reporter.after_fork)
        thread.start_soon()
    return reporter


def assemble(settings: FilterSettings) -> tuple[Reporter, SenderThread]:
    """All of the filter's objects for one process; nothing is started, no file is opened."""
    clock = SystemClock()
    host = socket.gethostname()[:255] or "unknown"
    complaints = Complaints(clock)
    guard = Guard(complaints)
    outbox = Outbox(directory=settings.outbox_path, max_bytes=settings.outbox_max_bytes, host=host, clock=clock,
                    complaints=complaints)
    sender = Sender(outbox=outbox, clock=clock, complaints=complaints, metrics_file=settings.metrics_file,
                    connect=lambda: SyncClient(session=settings.new_session(), base_url=settings.server_url,
                                               timeout_seconds=settings.timeout_seconds))
    thread = SenderThread(sender=sender, guard=guard)
    return Reporter(outbox=outbox, thread=thread, guard=guard, clock=clock, complaints=complaints,
                    host=host), thread
