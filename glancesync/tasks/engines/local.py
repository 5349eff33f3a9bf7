# SPDX-License-Identifier: Apache-2.0
"""The engine `local`: each server claims what its own green pool can start. Loaded by its entry point."""
from __future__ import annotations

from glancesync.tasks.engine import Engine, EngineParts
from glancesync.tasks.worker import Worker


def new_engine(parts: EngineParts) -> Engine:
    """A server that shares its database with others shares the work with them; nobody has to tell it."""
    return Worker(queue=parts.queue, run=parts.run, settings=parts.settings, clock=parts.clock, random=parts.random,
                  gate=parts.gate, watch=parts.watch, recovers=parts.recovers, servers=parts.servers)
