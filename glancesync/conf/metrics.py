# SPDX-License-Identifier: Apache-2.0
"""[metrics]: what Prometheus is told."""
from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from oslo_config import cfg

from glancesync.exceptions import ConfigurationError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

OPTS = [
    cfg.ListOpt("allowed_addresses", default=["127.0.0.0/8", "::1/128"],
                help="Addresses and networks that may read /metrics, which needs no token: it names regions and "
                     "reason codes, no image, user or project. Empty: nobody. A request that a proxy passed on counts "
                     "as none of them, unless [oslo_middleware] enable_proxy_headers_parsing is true."),
    cfg.FloatOpt("cache_seconds", default=5.0, min=0.0,
                 help="What has to be counted in the database is counted at most this often."),
]


@dataclass(frozen=True, kw_only=True)
class MetricsSettings:
    allowed_addresses: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
    cache_seconds: float = 5.0


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group="metrics")


def read(conf: cfg.ConfigOpts) -> MetricsSettings:
    """Raises ConfigurationError for what is no address or network."""
    return MetricsSettings(allowed_addresses=tuple(map(_network, conf.metrics.allowed_addresses)),
                           cache_seconds=conf.metrics.cache_seconds)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigurationError(f"[metrics] allowed_addresses holds {text!r}: {error}; allowed are addresses and "
                                 "networks such as 192.0.2.7 and 192.0.2.0/24") from None
