# SPDX-License-Identifier: Apache-2.0
"""One way to run a transaction, whatever the database: off the hub, retried, its errors made ours.

Built by cmd, handed to the queue, the records and the service. SQLite serves one server process: its calls run in a
native thread, one at a time, because its lock waits would stop every green thread.
"""
from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from oslo_db import api as oslo_db_api

from glancesync.concurrency import BlockingCalls
from glancesync.db import compat, connections, errors, fence, migrate
from glancesync.db.clock import database_now, now
from glancesync.exceptions import ConfigurationError, NotReadyError

__all__ = ["Database", "database_now", "now"]

P = ParamSpec("P")
Result = TypeVar("Result")
Work = Callable[Concatenate[sa.Connection, P], Result]



class Database:
    """A database by its SQLAlchemy URL. Nothing is opened before `open()` or the first call.

    Raises ConfigurationError for a URL that names no database that this package serves.
    """

    def __init__(self, url: str) -> None:
        try:
            self._url = sa.make_url(url)
            backend = self._url.get_backend_name()
            self._url.get_dialect()
        except sa.exc.ArgumentError:
            raise ConfigurationError("[database] connection is not a database URL, such as "
                                     "sqlite:////var/lib/glance-sync/glance-sync.db") from None
        if backend not in ("sqlite", "postgresql", "mysql", "mariadb"):
            raise ConfigurationError(f"[database] connection names {backend}; sqlite, postgresql and mysql are served")
        self.is_sqlite = backend == "sqlite"
        self._engine: sa.Engine | None = None
        self._engine_beside: sa.Engine | None = None
        self._ended = False
        self._blocking = BlockingCalls()

    @property
    def description(self) -> str:
        """The database for a person to read, without user, password and options."""
        return errors.describe(self._url)

    def open(self) -> None:
        """Connect, and check that the schema serves this version; raises NotReadyError with the next step."""
        if (problem := self.why_unfit()) is not None:
            raise NotReadyError(f"the schema of {self.description} {problem}")

    def why_unfit(self) -> str | None:
        """Why this program cannot work with the tables as they are, and the next step; None where it can."""
        steps = migrate.steps()
        return compat.why_unfit(self.version(), self.read(compat.read_declared), {step.revision for step in steps},
                                steps[-1].revision)

    def close(self) -> None:
        """Close all connections. The next call opens new ones."""
        # SQLite frees a connection under the feet of a native thread that is in a statement of it, and the process
        # with it. A caller that was killed may have left such a thread, and leases are renewed by one.
        call = self._blocking.call if self.is_sqlite else _directly
        call(self._dispose)

    def end(self) -> None:
        """As `close`, for good: whoever asks from now on, such as a request that was being answered, gets
        NotReadyError."""
        self._ended = True
        self.close()

    def _dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def sync(self) -> None:
        """Create the tables or bring them to this version; does nothing when they are, or are at a newer one that
        serves this program. Raises NotReadyError for one that does not, and for one that would refuse names."""
        found = self.version()
        if found is None and (problem := self.read(compat.why_refuses_names)) is not None:
            raise NotReadyError(f"{self.description} {problem}")
        if found is None or found in {step.revision for step in migrate.steps()}:
            self.run(migrate.upgrade)
        else:
            self.open()

    def version(self) -> str | None:
        """The schema's version, None where there is none yet."""
        return self.read(migrate.current)

    def run(self, work: Work[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """`work(connection, ...)` in one transaction, committed when it returns, rolled back when it raises.

        It may be run more than once (deadlock, lost connection, a row that another server inserted at the same time),
        so it must have no effect outside the database.
        Raises NotReadyError when the database cannot answer, and within `fence.fenced` what its check raises.
        """
        check = fence.current()
        return self._retried(False, work if check is None else _checked(check, work), args, kwargs)

    def read(self, work: Work[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """As `run`, for work that only reads; on SQLite it does not wait for another process's write."""
        return self._retried(True, work, args, kwargs)

    def run_here(self, work: Work[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """As `run`, for one native thread beside the hub, which may be busy, and without retries."""
        with self._our_errors():
            if self.is_sqlite:
                return self._blocking.call_here(self._transaction, False, work, args, kwargs)
            return self._transaction_beside(work, args, kwargs)

    def _transaction_beside(self, work: Callable[..., Result], args: Any, kwargs: Any) -> Result:
        # The engine's pool has green locks, which native threads must not contend for: this one has no pool. The
        # drivers wait by a hub that eventlet makes for the thread.
        if self._engine_beside is None:
            self._engine_beside = connections.server_engine(self._url, pool=False)
        return self._once(self._engine_beside, False, work, args, kwargs)

    def _retried(self, read_only: bool, work: Callable[..., Result], args: Any, kwargs: Any) -> Result:
        call = self._blocking.call if self.is_sqlite else _directly
        with self._our_errors():
            result: Result = _with_retries(call)(self._transaction, read_only, work, args, kwargs)
            return result

    @contextlib.contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except errors.FOREIGN as error:
            translated = errors.translate(error, self._url)
            if translated is None:
                raise
            raise translated from error

    def _transaction(self, read_only: bool, work: Callable[..., Result], args: Any, kwargs: Any) -> Result:
        if self._ended:
            raise NotReadyError(f"{self.description} is closed: this process stops")
        if self._engine is None:
            new_engine = connections.sqlite_engine if self.is_sqlite else connections.server_engine
            self._engine = new_engine(self._url)
        try:
            return self._once(self._engine, read_only, work, args, kwargs)
        except errors.DuplicateError:
            # Another server inserted a row between this one's look for it and its insert: now it is seen. What is a
            # duplicate for good is one again.
            return self._once(self._engine, read_only, work, args, kwargs)

    def _once(self, engine: sa.Engine, read_only: bool, work: Callable[..., Result], args: Any, kwargs: Any) -> Result:
        with engine.connect() as connection:
            connection = connection.execution_options(**{connections.READ_ONLY: read_only})
            with connection.begin():
                return work(connection, *args, **kwargs)


def _checked(check: fence.Check, work: Callable[..., Result]) -> Callable[..., Result]:
    def checked(connection: sa.Connection, *args: Any, **kwargs: Any) -> Result:
        check(connection)
        return work(connection, *args, **kwargs)

    return checked


def _directly(function: Callable[..., Result], *args: Any) -> Result:
    return function(*args)


#: Sleeps between two tries in the caller's green thread, never in the native one.
_with_retries = oslo_db_api.wrap_db_retry(
    max_retries=4, retry_interval=0.2, inc_retry_interval=True, max_retry_interval=3, jitter=True,
    retry_on_disconnect=True, retry_on_deadlock=True, exception_checker=errors.may_pass)
