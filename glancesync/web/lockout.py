# SPDX-License-Identifier: Apache-2.0
"""Makes guessing of passwords slow: growing waits per account and per address. Used by `login`."""
from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from glancesync.clock import Clock

#: The longest wait: long enough against guessing, short enough for who is locked out by somebody else's guesses.
LONGEST_SECONDS = 900.0
#: Failures are forgotten when none followed for so long.
FORGET_SECONDS = 3600.0
#: Accounts, and addresses, that are remembered at once; the one that was not seen for longest is forgotten first.
MOST_REMEMBERED = 10_000
#: Many people may share an address.
ADDRESS_FACTOR = 4


@dataclass(frozen=True, kw_only=True)
class Failures:
    """`until` is when the next attempt is taken, on a monotonic clock in seconds."""

    count: int = 0
    at: float = 0.0
    until: float = 0.0


def after_failure(before: Failures, now: float, *, free: int) -> Failures:
    """One more failure (pure). The first `free` cost nothing, each further one doubles the wait."""
    count = 1 if now - before.at > FORGET_SECONDS else before.count + 1
    wait = 0.0 if count < free else min(LONGEST_SECONDS, 2.0 ** min(count - free, 20))
    return Failures(count=count, at=now, until=now + wait)


class Lockout:
    """Attempts are counted before the password is tried, so that many at once are no way around the waits.

    Memory is bounded; nothing survives a restart, and other servers count for themselves.
    """

    def __init__(self, *, clock: Clock, free: int) -> None:
        self._clock = clock
        self._free = free
        self._accounts: OrderedDict[str, Failures] = OrderedDict()
        self._addresses: OrderedDict[str, Failures] = OrderedDict()

    def begin(self, account: str, address: str) -> float:
        """0 if an attempt may be made now, which counts as failed until `succeeded`; else the seconds to wait."""
        now = self._clock.monotonic()
        wait = max(self._accounts.get(account, Failures()).until, self._addresses.get(address, Failures()).until) - now
        if wait > 0:
            return wait
        self._count(self._accounts, account, now, self._free)
        self._count(self._addresses, address, now, self._free * ADDRESS_FACTOR)
        return 0.0

    def succeeded(self, account: str, address: str) -> None:
        """The password was right. The address keeps what it failed on other accounts."""
        self._accounts.pop(account, None)
        self._take_back(address)

    def undecided(self, account: str, address: str) -> None:
        """Keystone could not be asked: nobody guessed."""
        found = self._accounts.get(account)
        if found is not None:
            self._accounts[account] = replace(found, count=max(0, found.count - 1), until=0.0)
        self._take_back(address)

    def _take_back(self, address: str) -> None:
        found = self._addresses.get(address)
        if found is not None:
            self._addresses[address] = replace(found, count=max(0, found.count - 1), until=0.0)

    @staticmethod
    def _count(table: OrderedDict[str, Failures], key: str, now: float, free: int) -> None:
        table[key] = after_failure(table.get(key, Failures()), now, free=free)
        table.move_to_end(key)
        while len(table) > MOST_REMEMBERED:
            table.popitem(last=False)
