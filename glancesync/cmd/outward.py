# SPDX-License-Identifier: Apache-2.0
"""Builds what people and Prometheus see beside the API: the stages of the page and of /metrics. Called by build."""
from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from keystoneauth1.session import Session
from oslo_policy import policy
from prometheus_client import CollectorRegistry

from glancesync.clock import Clock
from glancesync.conf import Settings, web
from glancesync.metrics.stage import MetricsStage
from glancesync.web.files import load_files
from glancesync.web.keystone import Identity, Keystone
from glancesync.web.lockout import Lockout
from glancesync.web.login import Login
from glancesync.web.pages import CallerPages
from glancesync.web.seal import Seal
from glancesync.web.sessions import Sessions
from glancesync.web.stage import WebStage
from glancesync.web.stream import Streams

Stages = Mapping[str, Callable[[Any], Any]]
_STATE_DIRECTORY = Path("/var/lib/glance-sync")
_KEY_NAME = "web-session.key"


@dataclass(frozen=True, kw_only=True)
class Outward:
    """What the stages are made of."""

    settings: Settings
    identity: Identity
    enforcer: policy.Enforcer
    streams: Streams
    registry: CollectorRegistry
    clock: Clock
    trusts_proxy: bool


def build_stages(parts: Outward) -> Stages:
    """By the names of the paste file; without those of the page where that is off. Touches no file but the page's."""
    metrics = {"metrics": partial(MetricsStage, registry=parts.registry, trusts_proxy=parts.trusts_proxy,
                                  allowed=parts.settings.metrics.allowed_addresses)}
    if not is_page_on(parts.settings):
        return metrics
    settings, clock = parts.settings, parts.clock
    sessions = Sessions(seal=Seal(key_path(settings)), clock=clock, public_endpoint=settings.api.public_endpoint)
    login = Login(identity=parts.identity, sessions=sessions, clock=clock,
                  session_seconds=settings.web.session_seconds,
                  lockout=Lockout(clock=clock, free=settings.web.login_failures))
    return {**metrics, "web": partial(WebStage, files=load_files(), login=login, sessions=sessions),
            "web_caller": partial(CallerPages, enforcer=parts.enforcer, streams=parts.streams, clock=clock)}


def is_page_on(settings: Settings) -> bool:
    """auto: only where nobody on the network could read along while a password is typed."""
    if settings.web.enabled != web.AUTO:
        return settings.web.enabled == web.ON
    try:
        return ipaddress.ip_address(settings.server.bind_host).is_loopback
    except ValueError:
        return settings.server.bind_host == "localhost"


def key_path(settings: Settings) -> Path:
    """Beside what the server keeps anyway."""
    if settings.web.key_file:
        return Path(settings.web.key_file)
    url = sa.make_url(settings.server.connection)
    beside = Path(url.database).parent if url.get_backend_name() == "sqlite" and url.database else _STATE_DIRECTORY
    return beside / _KEY_NAME


def keystone_of(session: Session, timeout_seconds: float) -> Keystone:
    """People log in at the Keystone that the service user works with, by the same TLS options."""
    return Keystone(auth_url=getattr(session.auth, "auth_url", None) or "", timeout_seconds=timeout_seconds,
                    session_options={"verify": session.verify, "cert": session.cert})
