# SPDX-License-Identifier: Apache-2.0
"""The doorbell's process: never green, started by the server with a socket as its stdin (see service.bell).

What the server rings goes to all servers of the topic as a fanout message, at most every 50 ms; what another server
rings goes to this one. When the server is gone the socket ends, and it ends too; when the broker is gone oslo.messaging
connects again by itself.
"""
from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import oslo_messaging
from amqp.exceptions import AMQPError
from kombu.exceptions import KombuError
from oslo_config import cfg
from oslo_log import log

from glancesync import __version__
from glancesync import conf as options
from glancesync.clock import Clock, SystemClock
from glancesync.cmd.logs import make_inert
from glancesync.conf.doorbell import DoorbellSettings

LOG = logging.getLogger(__name__)
_PROG = "glance-sync"
_READ_BYTES = 4096
_MERGE_SECONDS = 0.05
_PAUSE_SECONDS = 1.0
_REFUSED_SECONDS = 3.0
_BROKER_ERRORS = (oslo_messaging.MessagingException, KombuError, AMQPError, OSError)


class Ears:
    """What oslo.messaging calls with a ring. `me` is this process's name: its own rings come back to it too."""

    def __init__(self, connection: socket.socket, me: str) -> None:
        self._connection = connection
        self.me = me

    def ring(self, _context: Mapping[str, Any], server: object = None, **_more: object) -> None:
        """Another server queued something. One that waits already needs no second ring."""
        if server == self.me:
            return
        try:
            self._connection.send(b"r", socket.MSG_DONTWAIT)
        except BlockingIOError:
            LOG.debug("the server is too busy to be told once more")


def new_transport(settings: DoorbellSettings) -> Any:
    """Connects to nothing yet. oslo.messaging's RPC client reads options of the global ConfigOpts alone; it has those
    that it needs from the URL."""
    conf = cfg.CONF
    conf([], default_config_files=[], default_config_dirs=[])
    return oslo_messaging.get_rpc_transport(conf, url=oslo_messaging.TransportURL.parse(conf, settings.transport_url))


def find_transport(settings: DoorbellSettings) -> Any | None:
    """None, with a word in the log, where oslo.messaging cannot use what the URL says: it would be no better for a
    process that is started anew."""
    try:
        return new_transport(settings)
    except (oslo_messaging.MessagingException, cfg.Error, ValueError) as error:
        LOG.error("other servers are neither told nor heard: [doorbell] transport_url names a driver or an option that "
                  "oslo.messaging cannot use (%s); correct it and restart the server", type(error).__name__)
        return None


def listen(transport: Any, settings: DoorbellSettings, ears: Ears, clock: Clock) -> Any:
    """Hear what others ring, from when the broker answers and lets us. A broker that is away oslo.messaging waits for;
    one that refuses (a wrong password, no such vhost, a right that is missing) is tried again here."""
    target = oslo_messaging.Target(exchange=settings.exchange, topic=settings.topic, server=ears.me)
    refused = False
    while True:
        server = oslo_messaging.get_rpc_server(transport, target, [ears],
                                               access_policy=oslo_messaging.DefaultRPCAccessPolicy)
        try:
            server.start()
        except _BROKER_ERRORS as error:
            if not refused:
                LOG.warning("what other servers ring is not heard, it is tried again: the message broker of [doorbell] "
                            "transport_url refuses it: %s", type(error).__name__)
            refused = True
            clock.sleep(_REFUSED_SECONDS)
        else:
            LOG.info("the doorbell is connected")
            return server


def pass_on(connection: socket.socket, client: Any, me: str, clock: Clock) -> None:
    """Ring for the server until it is gone. Rings that come while one goes out become one."""
    fails = False
    while connection.recv(_READ_BYTES):
        try:
            client.cast({}, "ring", server=me)
        except _BROKER_ERRORS as error:
            if not fails:
                LOG.warning("the other servers are not told at once that there is something to do: %s",
                            type(error).__name__)
            fails = True
            clock.sleep(_PAUSE_SECONDS)
        else:
            fails = False
        clock.sleep(_MERGE_SECONDS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Ring and listen until the server is gone. Never returns: threads that wait for a broker are not waited for."""
    conf = options.parse(list(sys.argv[1:] if arguments is None else arguments), prog=_PROG)
    log.setup(conf, _PROG, version=__version__)
    make_inert(logging.getLogger())
    connection = socket.socket(fileno=0)
    connection.setblocking(True)
    settings, me = options.read_settings(conf).doorbell, uuid.uuid4().hex
    transport = find_transport(settings)
    if transport is None:
        while connection.recv(_READ_BYTES):
            pass  # until the server is gone
    else:
        ears = Ears(connection, me)
        threading.Thread(target=listen, args=(transport, settings, ears, SystemClock()), daemon=True).start()
        client = oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(
            exchange=settings.exchange, topic=settings.topic, fanout=True), retry=1)
        pass_on(connection, client, me, SystemClock())
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
