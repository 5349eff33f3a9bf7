# SPDX-License-Identifier: Apache-2.0
"""[notifications]: Glance's own notifications as a second trigger."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from oslo_config import cfg

GROUP = "notifications"
OPTS = [
    cfg.BoolOpt("enabled", default=False,
                help="Whether the server listens to Glance's notifications ([oslo_messaging_notifications] driver = "
                     "messagingv2 in its glance-api.conf), beside or instead of the filter. Needs the extra "
                     "`notifications` of this package."),
    cfg.StrOpt("transport_url", secret=True,
               help="The message broker, as in Glance: rabbit://USER:PASSWORD@HOST:5672/VHOST. What follows a `?` are "
                    "options of oslo.messaging's RabbitMQ driver (ssl=1, ssl_ca_file=...)."),
    cfg.StrOpt("exchange", default="glance", help="The exchange; Glance's is glance unless control_exchange is set."),
    cfg.StrOpt("topic", default="notifications", help="The topic of the cascading Glance."),
    cfg.StrOpt("pool", default="glance-sync",
               help="Servers of the same pool share the notifications: each goes to one of them. Other listeners of "
                    "the topic (telemetry) get theirs all the same."),
    cfg.DictOpt("region_topics", default={},
                help="Topics of cascaded Glances and their regions: notifications_two:RegionTwo,... A change there "
                     "that this server did not make is looked at soon. A topic of their own keeps them apart best."),
    cfg.DictOpt("region_publishers", default={},
                help="Publisher ids (default_publisher_id in glance-api.conf) of cascaded Glances that share a topic "
                     "with others, and their regions: image.glance-two:RegionTwo,..."),
    cfg.BoolOpt("durable_queues", default=False,
                help="Whether exchange and queues survive a restart of the broker. Has to be what [oslo_messaging_"
                     "rabbit] amqp_durable_queues is in the Glances. False: what was not fetched when the broker "
                     "stopped is found by the next comparison."),
]


@dataclass(frozen=True, kw_only=True)
class NotificationSettings:
    enabled: bool = False
    transport_url: str | None = None
    exchange: str = "glance"
    topic: str = "notifications"
    pool: str = "glance-sync"
    region_topics: Mapping[str, str] = field(default_factory=dict)
    region_publishers: Mapping[str, str] = field(default_factory=dict)
    durable_queues: bool = False


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group=GROUP)


def read(conf: cfg.ConfigOpts) -> NotificationSettings:
    return NotificationSettings(**{opt.dest: conf[GROUP][opt.dest] for opt in OPTS})
