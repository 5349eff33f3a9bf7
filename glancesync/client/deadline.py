# SPDX-License-Identifier: Apache-2.0
"""A requests session whose exchanges end in time, however slowly the other side drips.

Used by the filter for its keystoneauth1 session: what is asked of the sync server and of Keystone. A socket's time-out
starts anew with each byte that arrives, so that headers sent one by one would hold the sender's thread for ever.
"""
from __future__ import annotations

import functools
import http.client
import io
import time
from typing import Any

import requests
from keystoneauth1.session import TCPKeepAliveAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


def new_requests_session(exchange_seconds: float) -> requests.Session:
    """A session whose every exchange ends within so many seconds after its connection stands: its answer is read to
    the end, or a time-out of requests or urllib3 is raised. Connecting has the caller's own time-out."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _DeadlineAdapter(exchange_seconds))
    return session


class _DeadlineAdapter(TCPKeepAliveAdapter):  # type: ignore[misc]
    """Connections of its own kinds, which know how long an exchange may take."""

    def __init__(self, exchange_seconds: float) -> None:
        self._pools = {scheme: functools.partial(kind, exchange_seconds=exchange_seconds)
                       for scheme, kind in (("http", _Pool), ("https", _TlsPool))}
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


class _DeadlineMixin:
    """Each request of a connection starts its deadline; its answer is read through it."""

    exchange_seconds: float

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        end = time.monotonic() + self.exchange_seconds
        self.response_class = functools.partial(_DeadlineResponse, end=end)
        super().putrequest(*args, **kwargs)  # type: ignore[misc]


class _Connection(_DeadlineMixin, HTTPConnection):
    pass


class _TlsConnection(_DeadlineMixin, HTTPSConnection):
    pass


class _PoolMixin:
    def __init__(self, *args: Any, exchange_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._exchange_seconds = exchange_seconds

    def _new_conn(self) -> Any:
        connection = super()._new_conn()  # type: ignore[misc]
        connection.exchange_seconds = self._exchange_seconds
        return connection


class _Pool(_PoolMixin, HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(_PoolMixin, HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _DeadlineResponse(http.client.HTTPResponse):
    """Reads status, headers and body through a stream that ends in time."""

    def __init__(self, sock: Any, *args: Any, end: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_DeadlineStream(sock, self.fp, end))


class _DeadlineStream(io.RawIOBase):
    def __init__(self, sock: Any, stream: Any, end: float) -> None:
        self._socket = sock
        self._stream = stream
        self._end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._end - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the answer took too long")
        self._socket.settimeout(remaining)
        found: int | None = self._stream.raw.readinto(buffer)
        return found

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            super().close()
