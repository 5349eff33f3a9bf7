# SPDX-License-Identifier: Apache-2.0
"""The HTTP connection that an upload is sent over: bounded in time, and listening while it speaks. Used by glance_data.

urllib3 sends a body with the *connect* timeout and looks for an answer only when all is sent. A target that refuses at
the start (no quota, wrong state) would get the whole image first, and one that stops reading would be found late.
"""
from __future__ import annotations

import fcntl
import struct
import termios
from typing import Any

from keystoneauth1.session import Session, TCPKeepAliveAdapter
from requests import Session as RequestsSession
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from glancesync.concurrency import Timeout, is_green
from glancesync.exceptions import TransferStalledError

_PIECE_BYTES = 65536


class _Sending:
    """What both connections do instead of sending everything at once. Mixed into urllib3's classes."""

    #: Seconds for which the other side may take no byte; set by the pool.
    idle_seconds: float = 60.0
    #: Seconds for the whole head of the answer.
    answer_seconds: float = 300.0
    sock: Any

    def send(self, data: Any) -> None:
        """Raises BrokenPipeError, which urllib3 takes as "read the answer now", when an answer is there already."""
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        self.sock.settimeout(self.idle_seconds)
        for piece in _pieces(data):
            self._stop_if_answered()
            try:
                super().send(piece)  # type: ignore[misc]
            except TimeoutError as error:
                self._stop_if_answered()
                raise TransferStalledError(f"{self.host} took no byte for "  # type: ignore[attr-defined]
                                           f"{self.idle_seconds:g} s") from error

    def getresponse(self) -> Any:
        """Raises TransferStalledError when the answer's head does not end in time. Only a green process can tell."""
        if not is_green():
            return super().getresponse()  # type: ignore[misc]
        with Timeout(self.answer_seconds, TransferStalledError(
                f"{self.host} answered for longer than {self.answer_seconds:g} s")):  # type: ignore[attr-defined]
            return super().getresponse()  # type: ignore[misc]

    def _stop_if_answered(self) -> None:
        raise NotImplementedError


class UploadConnection(_Sending, HTTPConnection):
    """Plain HTTP: whatever can be read before the body is complete is an early answer."""

    def _stop_if_answered(self) -> None:
        waiting = struct.unpack("i", fcntl.ioctl(self.sock.fileno(), termios.FIONREAD, b"\0\0\0\0"))[0]
        if waiting:
            raise BrokenPipeError("the other side answered before the body was complete")


class SecureUploadConnection(_Sending, HTTPSConnection):
    """TLS: session tickets also arrive unasked, so an early answer is seen only when the other side closes."""

    def _stop_if_answered(self) -> None:
        return


class UploadAdapter(TCPKeepAliveAdapter):
    """A requests adapter whose connections are the ones above."""

    def __init__(self, idle_seconds: float, answer_seconds: float) -> None:
        self._seconds = idle_seconds, answer_seconds
        super().__init__(pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pool_classes(*self._seconds)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _pool_classes(*self._seconds)
        return manager


def _pool_classes(idle_seconds: float, answer_seconds: float) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3 makes connections by class, so what they need to know is an attribute of a class of their own."""
    bounds = {"idle_seconds": idle_seconds, "answer_seconds": answer_seconds}
    plain = type("Connection", (UploadConnection,), bounds)
    secure = type("SecureConnection", (SecureUploadConnection,), bounds)
    return {"http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure})}


def upload_session(session: Session, idle_seconds: float, answer_seconds: float) -> Session:
    """A keystoneauth1 session with the same login, trust and proxies as `session`, whose bodies are sent as above."""
    transport = RequestsSession()
    transport.trust_env = session.session.trust_env
    transport.proxies = dict(session.session.proxies)
    for scheme in ("http://", "https://"):
        transport.mount(scheme, UploadAdapter(idle_seconds, answer_seconds))
    return Session(auth=session.auth, session=transport, verify=session.verify, cert=session.cert, redirect=False,
                   additional_headers=dict(session.additional_headers))


def _pieces(data: Any) -> list[Any]:
    """A large chunk in pieces, since a socket's timeout bounds a whole send. A view of it, since a green socket slices
    what is left after each partial send."""
    if not isinstance(data, bytes):
        return [data]
    view = memoryview(data)
    if len(data) <= 2 * _PIECE_BYTES:
        return [view]
    return [view[start:start + _PIECE_BYTES] for start in range(0, len(view), _PIECE_BYTES)]
