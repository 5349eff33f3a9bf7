# SPDX-License-Identifier: Apache-2.0
"""[worker]: how many tasks run, how they are leased and repeated. `task_retry_times` keeps its old place."""
from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

RETRY_OPT = cfg.IntOpt("task_retry_times", mutable=True, default=0, min=0, max=100,
                       help="Quick repetitions within one run after an error that may pass, one second apart. Slower "
                            "ones, with backoff, go on for ever whatever this says.")
OPTS = [
    cfg.StrOpt("engine", default="local",
               help="What runs the tasks. local: this server, and every other one on its database. celery: processes "
                    "of glance-sync-worker, on this host and others, which hear of tasks by a message broker; see "
                    "[celery]. Other packages may bring more (entry points of glancesync.engines)."),
    cfg.IntOpt("max_tasks", mutable=True, default=16, min=1, max=1000, help="Tasks that run at once in this server."),
    cfg.IntOpt("max_tasks_per_region", mutable=True, default=4, min=1, max=1000,
               help="Tasks that run at once for one region, in all servers that share the database, so that a slow "
                    "region holds up only its own work and bears no more than this."),
    cfg.FloatOpt("lease_seconds", default=30, min=3,
                 help="How long a claimed task stays with a server that gives no sign of life; a third of it is the "
                      "heartbeat."),
    cfg.FloatOpt("poll_seconds", mutable=True, default=2, min=0.05,
                 help="How often the queue is looked at when nothing rang the doorbell."),
    cfg.FloatOpt("backoff_initial_seconds", mutable=True, default=1, min=0.05,
                 help="Delay after the first failure of a task; it doubles with each further one, plus jitter."),
    cfg.FloatOpt("backoff_max_seconds", mutable=True, default=300, min=0.05,
                 help="The longest delay between two tries of a task."),
    cfg.FloatOpt("wait_seconds", default=5, min=0.05,
                 help="Delay before a task that waits for something (a replica in `saving`) looks again."),
    cfg.FloatOpt("history_days", mutable=True, default=30, min=0,
                 help="How long finished runs, handled events and what is known of deleted images are kept for the "
                      "record."),
]


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    task_retry_times: int = 0
    engine: str = "local"
    max_tasks: int = 16
    max_tasks_per_region: int = 4
    lease_seconds: float = 30
    poll_seconds: float = 2
    backoff_initial_seconds: float = 1
    backoff_max_seconds: float = 300
    wait_seconds: float = 5
    history_days: float = 30


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opt(RETRY_OPT)
    conf.register_opts(OPTS, group="worker")


def read(conf: cfg.ConfigOpts) -> WorkerSettings:
    return WorkerSettings(task_retry_times=conf.task_retry_times, **{opt.dest: conf.worker[opt.dest] for opt in OPTS})
