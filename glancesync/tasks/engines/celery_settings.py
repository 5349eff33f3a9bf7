# SPDX-License-Identifier: Apache-2.0
"""What Celery is told, and what it must never be told. Pure but for reading the options; used by celery_app.

Celery takes settings from many sides: its defaults, a module that the environment names, broker URLs of the
environment, and ours. Whatever the sources, the result is checked: with some values tasks would be lost, repeated, or
run at a hundredth of their speed.
"""
from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from glancesync.conf.celery import CelerySettings
from glancesync.exceptions import ConfigurationError

#: Celery lets these win over everything that it is told otherwise.
_VARIABLES = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "CELERY_CONFIG_MODULE")
_SCHEMES = ("amqp", "amqps", "pyamqp")
_HEARTBEAT = "what Celery sends for its own monitors stops its eventlet pool again and again"

#: What the consumer says itself, and nobody else may say: Celery patches too late where it reads it here.
POOL = ("eventlet", "a forked process has no leases and no eventlet hub")
#: Name: (value, why no other one).
REQUIRED: Mapping[str, tuple[Any, str]] = {
    "task_acks_late": (False, "RabbitMQ takes a message back that is not acknowledged within 30 minutes, and ends the "
                              "connection; the rows in the database remember what is not done"),
    "task_acks_on_failure_or_timeout": (True, "a message says where to look; what failed is in the row"),
    "task_reject_on_worker_lost": (None, "the lease of a task tells that its worker is gone"),
    "task_always_eager": (False, "tasks would run in the server that is asked for them"),
    "task_time_limit": (None, "a copy may take hours; lease and stall time-outs end what hangs"),
    "task_soft_time_limit": (None, "a copy may take hours; lease and stall time-outs end what hangs"),
    "task_default_rate_limit": (None, "what is published has a free place"),
    "task_annotations": (None, "they change each of these for the task itself"),
    "task_queue_max_priority": (None, "servers and workers would declare a queue in two ways, which RabbitMQ refuses"),
    "task_serializer": ("json", "a message must not be able to hold code"),
    "accept_content": (["json"], "a message must not be able to hold code"),
    "result_backend": (None, "results are in the database"),
    "task_ignore_result": (True, "results are in the database"),
    "task_send_sent_event": (False, _HEARTBEAT),
    "worker_send_task_events": (False, _HEARTBEAT),
    "worker_enable_remote_control": (False, "whoever may write to the broker could end workers and tasks"),
    "broker_heartbeat": (0, "with it the eventlet pool falls to some 10 tasks a second; the kernel looks after dead "
                            "connections"),
    "broker_connection_retry": (True, "a worker waits for its broker"),
    "broker_connection_retry_on_startup": (True, "a worker waits for its broker"),
    "broker_connection_max_retries": (None, "a worker waits for its broker, however long"),
    "broker_channel_error_retry": (True, "a queue that somebody deletes is made again"),
    "worker_prefetch_multiplier": (1, "what one worker holds back nobody else can claim"),
    "worker_max_tasks_per_child": (None, "the eventlet pool has no children"),
    "worker_autoscaler": ("celery.worker.autoscale:Autoscaler", "max_tasks of [worker] says how many tasks run"),
    "worker_enable_prefetch_count_reduction": (False, "messages are acknowledged when they arrive"),
    "worker_hijack_root_logger": (False, "the log is this package's"),
}


def settings_of(settings: CelerySettings) -> dict[str, Any]:
    """What a Celery application is configured with. Raises ConfigurationError, without the URL in its words."""
    given = dict(_more(settings))
    return {**given, **{name: value for name, (value, _why) in REQUIRED.items()},
            "broker_url": _checked_url(settings.broker_url), "broker_use_ssl": _tls(settings),
            "broker_connection_timeout": settings.broker_timeout_seconds,
            "broker_transport_options": {
                "confirm_publish": True, "client_properties": {"connection_name": "glance-sync"},
                # A broker whose host vanished is found out after a minute; TCP alone waits for hours.
                "socket_settings": {socket.TCP_KEEPIDLE: 20, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 4}},
            "broker_pool_limit": None, "task_create_missing_queues": False}


def check_environment(environment: Mapping[str, str]) -> None:
    """Raises ConfigurationError for what would win over the configuration file."""
    for name in _VARIABLES:
        if name in environment:
            raise ConfigurationError(f"the environment variable {name} is set, and Celery would heed it instead of "
                                     "[celery]: unset it")


def check_effective(effective: Mapping[str, Any]) -> None:
    """Raises ConfigurationError for the first setting that came to another value than it must have."""
    for name, (value, why) in REQUIRED.items():
        if _plain(effective.get(name)) != _plain(value):
            raise _refused(name, effective.get(name), value, why)


def _more(settings: CelerySettings) -> Iterator[tuple[str, Any]]:
    """Those that the operator added."""
    for name, text in settings.settings.items():
        value = _value(text)
        if name in REQUIRED or name == "worker_pool":
            wanted, why = REQUIRED.get(name, POOL)
            if _plain(value) != _plain(wanted):
                raise _refused(name, text, wanted, why)
            continue
        if name.startswith("broker_") and name not in ("broker_login_method", "broker_failover_strategy"):
            raise ConfigurationError(f"[celery] settings: {name} is given by an option of [celery], or not at all")
        yield name, value


def _refused(name: str, found: object, wanted: object, why: str) -> ConfigurationError:
    return ConfigurationError(f"[celery] settings: {name} = {found} is refused, it has to be {wanted}: {why}")


def _value(text: str) -> Any:
    """As JSON where it is that, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return {"True": True, "False": False, "None": None}.get(text, text)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, list | tuple | set | frozenset) else value


def _checked_url(url: str | None) -> str:
    if not url:
        raise ConfigurationError("[worker] engine = celery needs [celery] broker_url: amqp://USER:PASSWORD@HOST:5672/")
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0
        # What follows a / ? or # in a password is no part of the host; it would be logged as a vhost.
        if "@" in f"{parts.path}{parts.query}{parts.fragment}":
            raise ValueError
    except ValueError:
        raise ConfigurationError("[celery] broker_url is no URL; in user and password write / @ : # % as %2F %40 %3A "
                                 "%23 %25") from None
    if parts.scheme not in _SCHEMES:
        raise ConfigurationError(f"[celery] broker_url begins with {parts.scheme or 'nothing'}://, allowed are amqp:// "
                                 "and amqps:// (RabbitMQ); on Redis what a green pool had not acknowledged was not "
                                 "given out again, and its visibility time-out gives it out twice")
    if not valid:
        raise ConfigurationError("[celery] broker_url names no host")
    return url


def _tls(settings: CelerySettings) -> Any:
    """What py-amqp makes an SSL context of; False without TLS."""
    parts = urlsplit(settings.broker_url or "")
    if parts.scheme != "amqps":
        if settings.ssl_ca_file or settings.ssl_cert_file:
            raise ConfigurationError("[celery] ssl_ca_file and ssl_cert_file need a broker_url of amqps://")
        return False
    return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": parts.hostname,
            "ca_certs": settings.ssl_ca_file, "certfile": settings.ssl_cert_file, "keyfile": settings.ssl_key_file}
