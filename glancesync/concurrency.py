# SPDX-License-Identifier: Apache-2.0
"""The only importer of eventlet: green threads, native threads for what would block the hub, listening sockets.

Used by everything that waits, sleeps or serves. It works in a patched process (the server: `monkey_patch()` is its
entry's first call) as well as in an unpatched one (commands, unit tests).
"""
from __future__ import annotations

import logging
import os
import socket
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

# Without this, eventlet replaces the resolver by one of its own, which knows neither nsswitch.conf nor scoped IPv6.
os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
# eventlet greets every start with its plea for asyncio; whoever runs this server can do nothing about it.
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

import eventlet  # noqa: E402
import eventlet.event  # noqa: E402
import eventlet.greenio  # noqa: E402
import eventlet.greenpool  # noqa: E402
import eventlet.greenthread  # noqa: E402
import eventlet.hubs  # noqa: E402
import eventlet.patcher  # noqa: E402
import eventlet.queue  # noqa: E402
import eventlet.semaphore  # noqa: E402
import eventlet.timeout  # noqa: E402
import eventlet.tpool  # noqa: E402
import eventlet.wsgi  # noqa: E402

GreenPool = eventlet.greenpool.GreenPool
GreenThread = eventlet.greenthread.GreenThread
Semaphore = eventlet.semaphore.Semaphore
Queue = eventlet.queue.LightQueue
QueueFull = eventlet.queue.Full
QueueEmpty = eventlet.queue.Empty
Event = eventlet.event.Event
GreenletExit = eventlet.greenlet.GreenletExit
#: eventlet's web server, for glancesync.serving.
wsgi = eventlet.wsgi
#: Context manager: `with Timeout(seconds, SomeError(...))`. Without an exception it raises itself, a BaseException.
Timeout = eventlet.timeout.Timeout
sleep = eventlet.sleep
kill = eventlet.kill

#: How long is waited for the end of a native thread.
_NATIVE_END_SECONDS = 5.0
Result = TypeVar("Result")
_native_threading = eventlet.patcher.original("threading")
_native_getaddrinfo = socket.getaddrinfo


def monkey_patch() -> None:
    """Make the standard library green. To be called before anything else is imported by the process's entry."""
    eventlet.monkey_patch()
    # A look-up in C would stop every green thread for as long as a name server stays silent.
    socket.getaddrinfo = _getaddrinfo
    # A green lock that two native threads contend for is never handed over. A handler's lock is held for one write,
    # so a native one suits the hub's thread too.
    logging.Handler.createLock = _create_native_lock  # type: ignore[method-assign]
    for reference in list(logging._handlerList):  # type: ignore[attr-defined]
        handler = reference()
        if handler is not None:
            handler.createLock()
    logging._lock = _native_threading.RLock()  # type: ignore[attr-defined]


def is_green() -> bool:
    """Whether `monkey_patch()` was called in this process."""
    return bool(eventlet.patcher.is_monkey_patched("thread"))


def spawn(function: Callable[..., Any], *args: Any) -> eventlet.greenthread.GreenThread:
    """Run `function(*args)` in a green thread of its own; `.wait()` gives its result or raises its error."""
    return eventlet.spawn(function, *args)


def run_native(function: Callable[..., Result], *args: Any) -> Result:
    """Run `function(*args)` in a native thread while other green threads go on; its result, or its error raised.

    The function must use no green object (lock, event, queue, socket) that another thread uses at the same time.
    """
    result: Result = eventlet.tpool.execute(function, *args)
    return result


class BlockingCalls:
    """Runs calls in native threads, one at a time, in the order of asking.

    For libraries whose locks were patched green (SQLAlchemy on SQLite): they must never be contended by two native
    threads. In an unpatched process the calls run where they are.
    """

    def __init__(self) -> None:
        self._turn = eventlet.semaphore.Semaphore(1)
        # A caller that is killed or timed out gives up its turn while its call still runs: this one holds until then.
        self._running = _native_threading.RLock()

    def call(self, function: Callable[..., Result], *args: Any) -> Result:
        """Its result, or its error raised."""
        if not is_green():
            return self._alone(function, *args)
        with self._turn:
            return run_native(self._alone, function, *args)

    def call_here(self, function: Callable[..., Result], *args: Any) -> Result:
        """As `call`, for a native thread: without the hub."""
        return self._alone(function, *args)

    def _alone(self, function: Callable[..., Result], *args: Any) -> Result:
        with self._running:
            return function(*args)


class NativeTicker:
    """Calls a function again and again in a native thread of its own, however busy the hub is.

    The function must raise nothing and use no green object that another thread uses.
    """

    def __init__(self, function: Callable[[], None], seconds: float) -> None:
        self._function = function
        self._seconds = seconds
        self._end = _native_threading.Event()
        self._thread = _native_threading.Thread(target=self._tick, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Have it end, and wait for that, but no longer than a few seconds for a call that runs. A native thread that
        ends while the interpreter does takes the process down where it has green threads of its own."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(_NATIVE_END_SECONDS)

    def _tick(self) -> None:
        while not self._end.wait(self._seconds):
            self._function()


class Gathering:
    """Members of one batch that wait for each other a short while, to share one read of their source.

    Each member calls `arrive()` or `leave()` once.
    """

    def __init__(self, members: int) -> None:
        self._missing = members
        self._complete = eventlet.event.Event()
        if members <= 0:
            self._complete.send()

    def arrive(self) -> None:
        """A member is ready to take part."""
        self._count()

    def leave(self) -> None:
        """A member will not take part."""
        self._count()

    def wait(self, timeout_seconds: float) -> bool:
        """True when all members have arrived or left within the time."""
        if not self._complete.ready():
            self._complete.wait(timeout_seconds)
        return bool(self._complete.ready())

    def _count(self) -> None:
        self._missing -= 1
        if self._missing <= 0 and not self._complete.ready():
            self._complete.send()


class Place:
    """One member's place in a gathering: it is counted once, however often it arrives or leaves."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering
        self._counted = False

    def arrive(self) -> None:
        """This member is ready to take part."""
        self._once(self._gathering.arrive)

    def leave(self) -> None:
        """This member will not take part, or not any more."""
        self._once(self._gathering.leave)

    def wait(self, timeout_seconds: float) -> bool:
        """True when all members have arrived or left within the time."""
        return self._gathering.wait(timeout_seconds)

    def _once(self, count: Callable[[], None]) -> None:
        if not self._counted:
            self._counted = True
            count()


class Doorbell:
    """Wakes one waiting loop; rings while nobody waits are remembered as one."""

    def __init__(self) -> None:
        self._rung = eventlet.event.Event()

    def ring(self) -> None:
        if not self._rung.ready():
            self._rung.send()

    def wait(self, timeout_seconds: float) -> bool:
        """True when it rang, False after the time."""
        if not self._rung.ready():
            self._rung.wait(timeout_seconds)
        rang = bool(self._rung.ready())
        if rang:
            self._rung = eventlet.event.Event()
        return rang


def listen(host: str, port: int, backlog: int = 128) -> socket.socket:
    """A green listening socket; `host` is a name, an IPv4 or an IPv6 address. Raises OSError."""
    family, _kind, _protocol, _name, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    # reuse_port would let two servers share the port by mistake, each getting half of the requests.
    listener: socket.socket = eventlet.listen(address, family=family, backlog=backlog, reuse_port=False)
    return listener


def take_socket(descriptor: int) -> socket.socket:
    """A green socket over a descriptor that this process was started with. Children of this process do not get it."""
    native = eventlet.patcher.original("socket").socket(fileno=descriptor)
    native.set_inheritable(False)
    taken: socket.socket = eventlet.greenio.GreenSocket(native)
    return taken


def send_at_once(connection: socket.socket, data: bytes) -> None:
    """Never waits. Raises OSError, BlockingIOError among them: a green `send` waits whatever flags it is given, and
    fails with RuntimeError where another green thread waits for the same socket."""
    native: socket.socket = connection.fd if isinstance(connection, eventlet.greenio.GreenSocket) else connection
    native.send(data, socket.MSG_DONTWAIT)


def _create_native_lock(handler: logging.Handler) -> None:
    handler.lock = _native_threading.RLock()


def _getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
    is_hubs = _native_threading.current_thread() is _native_threading.main_thread()
    if not is_hubs or host is None or (isinstance(host, str) and _is_address(host)):
        return _native_getaddrinfo(host, port, *args, **kwargs)
    return eventlet.tpool.execute(_native_getaddrinfo, host, port, *args, **kwargs)


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
