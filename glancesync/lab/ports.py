# SPDX-License-Identifier: Apache-2.0
"""Free loopback ports. Called by `cloud` when a lab is laid out or found a stranger on one of its ports."""
from __future__ import annotations

import random
import socket
from collections.abc import Collection

from glancesync.lab.errors import LabError

HOST = "127.0.0.1"
# Below the range from which the kernel gives out local ports: an outgoing connection must not take the port of a
# service while it is down for a test.
FIRST, LAST = 20000, 31999


def is_free(port: int) -> bool:
    """Whether a service could listen on the port now (connections in TIME_WAIT do not matter)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def find_free_port(taken: Collection[int], tries: int = 200) -> int:
    """A free port that is not in `taken`; random, so that labs started at the same time do not meet."""
    for _ in range(tries):
        port = random.randint(FIRST, LAST)  # noqa: S311 # nosec B311 - no secret
        if port not in taken and is_free(port):
            return port
    raise LabError(f"no free port found between {FIRST} and {LAST} in {tries} tries")
