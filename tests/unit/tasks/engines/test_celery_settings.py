# SPDX-License-Identifier: Apache-2.0
"""What Celery is told, and what is refused."""
from __future__ import annotations

import ssl

import pytest

from glancesync.conf.celery import CelerySettings
from glancesync.exceptions import ConfigurationError
from glancesync.tasks.engines.celery_settings import REQUIRED, check_effective, check_environment, settings_of

URL = "amqp://sync:s3cret@broker:5672/images"


def settings(**fields: object) -> CelerySettings:
    return CelerySettings(**{"broker_url": URL, **fields})  # type: ignore[arg-type]


def test_the_url_and_everything_that_has_to_be() -> None:
    found = settings_of(settings(broker_timeout_seconds=7))
    assert (found["broker_url"], found["broker_connection_timeout"], found["broker_use_ssl"]) == (URL, 7, False)
    assert found["task_acks_late"] is False
    check_effective(found)


@pytest.mark.parametrize(("name", "text"), [
    ("task_acks_late", "true"), ("worker_pool", "prefork"), ("broker_heartbeat", "120"), ("result_backend", "rpc://"),
    ("task_always_eager", "True"), ("worker_enable_remote_control", "true"), ("accept_content", '["pickle"]'),
    ("worker_prefetch_multiplier", "4"), ("broker_connection_max_retries", "100"), ("task_time_limit", "60"),
    ("worker_send_task_events", "true"), ("task_reject_on_worker_lost", "true"),
    ("task_annotations", '{"*": {"acks_late": true}}'), ("task_queue_max_priority", "10"),
])
def test_what_breaks_it_is_refused_with_the_reason(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} = .* is refused, it has to be .*: .{{10}}"):
        settings_of(settings(settings={name: text}))


@pytest.mark.parametrize("name", ["broker_url", "broker_read_url", "broker_transport_options", "broker_use_ssl"])
def test_the_broker_has_options_of_its_own(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is given by an option"):
        settings_of(settings(settings={name: "x"}))


def test_other_settings_are_handed_on() -> None:
    found = settings_of(settings(settings={"task_compression": "gzip", "worker_lost_wait": "5.5",
                                           "task_acks_late": "false", "broker_login_method": "EXTERNAL"}))
    assert (found["task_compression"], found["worker_lost_wait"], found["task_acks_late"],
            found["broker_login_method"]) == ("gzip", 5.5, False, "EXTERNAL")


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_what_came_from_elsewhere_is_found_too(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        check_effective({**settings_of(settings()), name: "something else"})


@pytest.mark.parametrize("name", ["CELERY_BROKER_URL", "CELERY_CONFIG_MODULE", "CELERY_BROKER_WRITE_URL"])
def test_the_environment_decides_nothing(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is set.*unset it"):
        check_environment({name: URL})
    check_environment({"HOME": "/"})


@pytest.mark.parametrize(("url", "words"), [
    (None, "needs .celery. broker_url"), ("", "needs .celery. broker_url"),
    ("redis://:s3cret@broker:6379/0", "begins with redis://, allowed are amqp"), ("broker", "begins with nothing"),
    ("amqp://", "names no host"), ("amqp://sync:s3c/ret@broker:5672/", "is no URL"),
    ("amqp://sync:12/s3cret@broker:5672/", "is no URL"), ("amqp://sync:12?s3cret@broker:5672/", "is no URL"),
    ("amqp://sync:12#s3cret@broker:5672/", "is no URL"),
])
def test_a_wrong_url_is_told_without_its_password(url: str | None, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        settings_of(settings(broker_url=url))
    assert "s3c" not in str(refused.value)


def test_tls_believes_whom_it_is_told_to() -> None:
    tls = settings_of(settings(broker_url="amqps://u:p@broker:5671/", ssl_ca_file="/ca.pem",
                               ssl_cert_file="/c.pem", ssl_key_file="/k.pem"))["broker_use_ssl"]
    assert tls == {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "broker", "ca_certs": "/ca.pem",
                   "certfile": "/c.pem", "keyfile": "/k.pem"}
    with pytest.raises(ConfigurationError, match="need a broker_url of amqps"):
        settings_of(settings(ssl_ca_file="/ca.pem"))
