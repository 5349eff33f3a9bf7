# SPDX-License-Identifier: Apache-2.0
"""[breaker]: when a region that fails is left alone, and how it is tried again."""
from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

GROUP = "breaker"
OPTS = [
    cfg.IntOpt("failures", mutable=True, default=5, min=0, max=1000,
               help="After so many failures in a row a region gets no tasks for a while: its breaker opens. One answer "
                    "with Retry-After opens it for that long, an hour at most. 0: never."),
    cfg.FloatOpt("pause_seconds", mutable=True, default=5, min=0.05,
                 help="How long the breaker stays open before a first probe, a request for one image of a listing; "
                      "each probe that fails doubles the pause."),
    cfg.FloatOpt("pause_max_seconds", mutable=True, default=120, min=0.05,
                 help="The longest pause between two probes."),
    cfg.IntOpt("probe_successes", mutable=True, default=2, min=1, max=100,
               help="So many successes in a row close the breaker: the first is a probe's, after which the region gets "
                    "one task at a time and each that ends well counts; where there is none, probes do."),
]


@dataclass(frozen=True, kw_only=True)
class BreakerSettings:
    failures: int = 5
    pause_seconds: float = 5
    pause_max_seconds: float = 120
    probe_successes: int = 2


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group=GROUP)


def read(conf: cfg.ConfigOpts) -> BreakerSettings:
    return BreakerSettings(**{opt.dest: conf[GROUP][opt.dest] for opt in OPTS})
