# SPDX-License-Identifier: Apache-2.0
"""The filter's options: [glance_sync] of glance-api.conf, each of which the filter's paste section may override.

Used by `filter_factory`, and by oslo-config-generator through `list_opts`. They are read with a ConfigOpts of our own
from the files that Glance reads, so that Glance's own configuration object stays as it is.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keystoneauth1 import exceptions as ksa
from keystoneauth1 import loading
from keystoneauth1.loading.session import Session as SessionLoader
from keystoneauth1.session import Session
from oslo_config import cfg

from glancesync.client.deadline import new_requests_session
from glancesync.exceptions import ConfigurationError
from glancesync.filter.paste import section_with

GROUP = "glance_sync"
_TLS_NAMES = ("cafile", "certfile", "keyfile", "insecure")

OPTS = [
    cfg.BoolOpt("sync_enabled", default=False, deprecated_group="DEFAULT",
                help="Report every change of an image to the sync server. When False nothing is put into Glance, and "
                     "nothing else in this section is looked at."),
    cfg.StrOpt("sync_server_protocol", default="http", choices=("http", "https"),
               help="How the sync server is spoken to. http sends a token in clear: over a network, use https."),
    cfg.HostAddressOpt("sync_server_host", default="127.0.0.1", deprecated_group="DEFAULT",
                       help="Host name or address of the sync server."),
    cfg.PortOpt("sync_server_port", default=9595, min=1, deprecated_group="DEFAULT",
                help="TCP port of the sync server."),
    cfg.StrOpt("sync_server_path_prefix", default="", regex=r"^(/[A-Za-z0-9._~-]+)*/?$",
               help="Path before /v1 where a proxy serves the sync server under one, e.g. /image-sync."),
    cfg.FloatOpt("sync_server_timeout_seconds", default=10.0, min=0.1, max=600.0,
                 help="How long the sync server, or Keystone, may take to accept a connection or to answer before the "
                      "sender tries again later. No request of a user ever waits for this."),
    cfg.StrOpt("outbox_path", default="/var/lib/glance/glance-sync-outbox",
               help="Folder for events that the sync server has not acknowledged yet; an absolute path on a local "
                    "disk, one for each Glance node. It is created with mode 0700 for the user that runs Glance."),
    cfg.IntOpt("outbox_max_bytes", default=64 * 1024 * 1024, min=1024 * 1024,
               help="The most that the outbox may take on disk. At this bound (about 150,000 events by default) new "
                    "events are not kept one by one any more; one that says `look at everything` stands for them."),
    cfg.StrOpt("metrics_file", regex=r"^/.+\.prom$",
               help="File for node_exporter's textfile collector that tells Prometheus how the outbox stands, such as "
                    "/var/lib/prometheus/node-exporter/glance-sync.prom. The user that runs Glance must be allowed to "
                    "make files in its folder. Unset: none is written."),
]


@dataclass(frozen=True, kw_only=True)
class FilterSettings:
    """What the filter was told. `new_session` makes a keystoneauth1 session; it opens no connection."""

    enabled: bool
    server_url: str
    timeout_seconds: float
    outbox_path: Path
    outbox_max_bytes: int
    metrics_file: Path | None
    new_session: Callable[[], Session]


def read_settings(conf: cfg.ConfigOpts, overrides: Mapping[str, str], paste_file: str | None) -> FilterSettings:
    """Settings from a parsed ConfigOpts and a paste section; registers the options on `conf`.

    Raises ConfigurationError with option, section and allowed names or values.
    """
    auth_group = _register(conf, overrides)
    _override(conf, overrides, auth_group, paste_file)
    try:
        found = conf[GROUP]
        values = {opt.dest: found[opt.dest] for opt in OPTS}
        if values["sync_enabled"]:
            _check(conf, values)
    except cfg.Error as error:
        raise ConfigurationError(f"[{GROUP}] of glance-api.conf, or what overrides it: {error} (a $ in a value is "
                                 "written $$)") from error
    return FilterSettings(
        enabled=values["sync_enabled"], server_url=_server_url(values),
        timeout_seconds=values["sync_server_timeout_seconds"], outbox_path=Path(values["outbox_path"]),
        outbox_max_bytes=values["outbox_max_bytes"],
        metrics_file=Path(values["metrics_file"]) if values["metrics_file"] else None,
        new_session=lambda: _new_session(conf))


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator (entry point `glancesync.filter`)."""
    auth = loading.get_auth_common_conf_options() + loading.get_auth_plugin_conf_options("v3password")
    return [(GROUP, OPTS + _tls_opts() + auth)]


def _tls_opts() -> list[cfg.Opt]:
    return [opt for opt in loading.get_session_conf_options() if opt.dest in _TLS_NAMES]


def _credential_names(auth_type: str | None) -> set[str]:
    opts = loading.get_auth_common_conf_options()
    return {opt.dest for opt in opts + (loading.get_auth_plugin_conf_options(auth_type) if auth_type else [])}


def _register(conf: cfg.ConfigOpts, overrides: Mapping[str, str]) -> str:
    """Register all that may be given; returns the group that the credentials are read from."""
    conf.register_opts(OPTS + _tls_opts(), group=GROUP)
    conf.register_opts(loading.get_auth_common_conf_options(), group=GROUP)
    auth_group = str(overrides.get("auth_section") or conf[GROUP].auth_section or GROUP)
    conf.register_opts(loading.get_auth_common_conf_options(), group=auth_group)
    auth_type = overrides.get("auth_type") or conf[auth_group].auth_type
    if auth_type:
        try:
            conf.register_opts(loading.get_auth_plugin_conf_options(auth_type), group=auth_group)
        except ksa.NoMatchingPlugin as error:
            raise ConfigurationError(f"auth_type in [{auth_group}]: no plugin is called {auth_type!r}; take "
                                     "v3password or v3applicationcredential") from error
    return auth_group


def _override(conf: cfg.ConfigOpts, overrides: Mapping[str, str], auth_group: str, paste_file: str | None) -> None:
    ours = {opt.dest for opt in OPTS + _tls_opts()} | {"auth_section"}
    credentials = _credential_names(overrides.get("auth_type") or conf[auth_group].auth_type)
    for name, value in overrides.items():
        if name not in ours | credentials:
            raise ConfigurationError(f"{section_with(paste_file, name)} has an unknown option {name!r}; allowed are "
                                     f"{', '.join(sorted(ours | credentials))}")
        try:
            conf.set_override(name, value, group=GROUP if name in ours else auth_group)
        except ValueError as error:
            raise ConfigurationError(f"{section_with(paste_file, name)}, option {name}: {error}") from error


def _check(conf: cfg.ConfigOpts, values: Mapping[str, Any]) -> None:
    if not Path(values["outbox_path"]).is_absolute():
        raise ConfigurationError(f"[{GROUP}] outbox_path = {values['outbox_path']} must be an absolute path")
    try:
        session = _new_session(conf)
    except (ksa.ClientException, OSError) as error:
        raise ConfigurationError(f"[{GROUP}] holds no complete credentials: {error}") from error
    if session.auth is None:
        raise ConfigurationError(f"[{GROUP}] auth_type is missing: name the filter's account (v3password with "
                                 "auth_url, username, password, project_name, user_domain_name, project_domain_name)")


def _new_session(conf: cfg.ConfigOpts) -> Session:
    found = conf[GROUP]
    auth = loading.load_auth_from_conf_options(conf, GROUP)
    return SessionLoader().load_from_options(
        redirect=False,  # a password goes nowhere that an answer points to
        auth=auth, insecure=found.insecure, cacert=found.cafile, cert=found.certfile, key=found.keyfile,
        timeout=found.sync_server_timeout_seconds, session=new_requests_session(found.sync_server_timeout_seconds))


def _server_url(values: Mapping[str, Any]) -> str:
    host = str(values["sync_server_host"])
    host = f"[{host}]" if ":" in host else host
    prefix = str(values["sync_server_path_prefix"]).rstrip("/")
    return f"{values['sync_server_protocol']}://{host}:{values['sync_server_port']}{prefix}"
