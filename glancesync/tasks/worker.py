# SPDX-License-Identifier: Apache-2.0
"""Runs tasks: claims what its green pool can start, keeps the leases, gives back what dead servers left.

Built by cmd with the function that does the work. It knows nothing of images; to it the first half of a pair is a key
that tells which runs may share something.
"""
from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from glancesync.clock import Clock
from glancesync.concurrency import (
    Doorbell,
    Event,
    Gathering,
    GreenPool,
    GreenThread,
    NativeTicker,
    Place,
    kill,
    sleep,
    spawn,
)
from glancesync.conf.worker import WorkerSettings
from glancesync.exceptions import GlanceSyncError, LeaseLostError, TaskCancelledError
from glancesync.model.task import Outcome, Task
from glancesync.tasks.gate import Gate, OpenGate
from glancesync.tasks.handle import TaskHandle
from glancesync.tasks.queue import ClaimKey, TaskQueue, claim_key
from glancesync.tasks.runner import Result, Runner
from glancesync.tasks.share import Share
from glancesync.tasks.watch import NoWatch, RunWatch

LOG = logging.getLogger(__name__)

_BEAT_SECONDS = 1.0
_SWEEP_SECONDS = 2.0
#: A hub that stood still for so many leases is given up, so that another server may take its tasks.
_LEASES_WITHOUT_A_BEAT = 10
_LOOK_SECONDS = 0.05
_POSTPONE_SECONDS = 1.0
#: How long the slots of a run that ended wait for its siblings to end too, in looks of _LOOK_SECONDS / 5.
_SIBLING_LOOKS = 20


class Worker:
    """One per server process. `random` gives numbers from 0 to 1. Without a `gate` every region gets what fits; the
    `watch` is told of each run. `recovers`: whether it takes back what an earlier incarnation of the server left; not
    where another process did before this one began. `servers`: how many share the queue now, with this one."""

    def __init__(self, *, queue: TaskQueue, run: Callable[[TaskHandle], Outcome],  # noqa: PLR0913 - by name
                 settings: WorkerSettings, clock: Clock, random: Callable[[], float], gate: Gate | None = None,
                 watch: RunWatch | None = None, recovers: bool = True,
                 servers: Callable[[], int] = lambda: 1) -> None:
        self._queue = queue
        self._settings = settings
        self._clock = clock
        self._random = random
        self._recovers = recovers
        self._gate = gate or OpenGate()
        self._runner = Runner(queue=queue, run=run, settings=settings, clock=clock, gate=self._gate,
                              watch=watch or NoWatch())
        self._share = Share(servers=servers, settings=settings, clock=clock)
        self._pool = GreenPool(settings.max_tasks)
        self._running: dict[ClaimKey, tuple[TaskHandle, GreenThread]] = {}
        self._half_ended: set[str] = set()
        self._bell = Doorbell()
        self._claiming = False
        self._stopping = Event()
        self._stopped = Event()
        self._renewed_at = self._beaten_at = clock.monotonic()
        self._postponed_at = float("-inf")

    @property
    def name(self) -> str:
        return "local"

    @property
    def capacity(self) -> int:
        return self._settings.max_tasks

    @property
    def trouble(self) -> str | None:
        """Nothing that is not told of the tasks themselves."""
        return None

    @property
    def running(self) -> int:
        """How many tasks run now."""
        return len(self._running)

    @property
    def internal_errors(self) -> int:
        """Errors since the start that nobody foresaw; each is in the log with its traceback."""
        return self._runner.internal_errors

    def guard(self, doing: str, function: Callable[..., Result], *args: object) -> Result | Exception:
        """For loops beside the worker's own that may not end either: what the function returns, or its error."""
        return self._runner.guard(doing, function, *args)

    def ring(self) -> None:
        """Something was submitted: look at the queue now."""
        self._bell.ring()

    def run_forever(self) -> None:
        """Claim and run until `stop()` has ended everything."""
        keeper = NativeTicker(self._renew_beside_the_hub, self._settings.lease_seconds / 3)
        keeper.start()
        try:
            beating = spawn(self._repeat, "keep the leases", self.beat, self._beat_seconds, self._stopped)
            if self._recovers:
                self._recover()
            sweeping = spawn(self._repeat, "sweep the queue", self.sweep, self._sweep_seconds, self._stopping)
            while not self._stopping.ready():
                self._claim_or_wait()
            sweeping.wait()
            beating.wait()
        finally:
            keeper.stop()

    def run_once(self) -> int:
        """Start what is due and fits; how many were started. They run on after this returns."""
        if self._free() <= 0:
            return 0
        self._postpone_paused()
        self._share.look()
        return len(self._start_claimed(lambda room: self._queue.claim(
            self._most, room, lambda region: self._share.room(region, self._most(region)))))

    def _free(self) -> int:
        """How many more tasks may be started now."""
        return 0 if self._stopping.ready() else self._settings.max_tasks - len(self._running)

    def _start_claimed(self, claim: Callable[[int], list[Task]]) -> list[GreenThread]:
        """Start what `claim(room)` takes, in its order; the runs' threads."""
        self._pool.resize(self._settings.max_tasks)
        self._claiming = True
        try:
            claimed = claim(self._free()) if self._free() > 0 else []
            members = Counter(task.image_id for task in claimed)
            begun_at = self._clock.monotonic()
            gatherings = {image_id: Gathering(count) for image_id, count in members.items()}
            return [self._start(TaskHandle(task, Place(gatherings[task.image_id]), self._queue, begun_at))
                    for task in claimed]
        finally:
            self._claiming = False

    def drain(self) -> None:
        """Wait until nothing runs."""
        self._pool.waitall()

    def beat(self) -> None:
        """Write progress, renew the leases when a third of their time is over, learn of lost and cancelled tasks."""
        self._beaten_at = self._clock.monotonic()
        handles = [handle for handle, _thread in self._running.values()]
        if not handles:
            return
        self._queue.report([(handle.task, progress) for handle in handles
                            if (progress := handle.take_progress()) is not None])
        asked_at = self._clock.monotonic()
        renew = asked_at - self._renewed_at >= self._settings.lease_seconds / 3
        held = self._queue.heartbeat(renew=renew)
        if renew:
            self._renewed_at = asked_at
        for key in held.lost:
            self._flag(key, LeaseLostError(f"task {key[0]} was given to another run: its lease had run out"))
        for key in held.cancelled:
            self._flag(key, TaskCancelledError(f"task {key[0]} was cancelled"))

    def stop_runs(self, region: str, error: GlanceSyncError) -> None:
        """Have what runs in the region end with the error at its next look."""
        for handle, _thread in list(self._running.values()):
            if handle.task.region == region:
                handle.stop(error)

    def sweep(self) -> None:
        """Give back what servers left running that gave no sign of life."""
        self._tell_lost(self._queue.sweep())

    def stop(self, graceful_seconds: float) -> None:
        """Claim nothing more, give what runs so much time to end, then end it and hand it back to the queue.

        A second call, with less time, overtakes the first.
        """
        if not self._stopping.ready():
            self._stopping.send()
        self.ring()
        deadline = self._clock.monotonic() + graceful_seconds
        while self._claiming or (self._running and self._clock.monotonic() < deadline):
            sleep(_LOOK_SECONDS)
        for _handle, thread in list(self._running.values()):
            kill(thread)
        self._pool.waitall()
        for handle, _thread in list(self._running.values()):  # those whose thread had not begun
            self._runner.hand_back(handle)
            self._forget(handle)
        if not self._stopped.ready():
            self._stopped.send()

    def _claim_or_wait(self) -> None:
        self._let_siblings_end()
        claimed = self._runner.guard("claim tasks", self.run_once)
        if isinstance(claimed, Exception):
            LOG.warning("no task can be claimed: %s", claimed)
        if isinstance(claimed, Exception) or not claimed:
            self._bell.wait(self._settings.poll_seconds)

    def _let_siblings_end(self) -> None:
        """Runs for one image in several regions end nearly together. When their slots are filled together, the next
        image's runs begin together and share what they read of the source. A slow sibling is waited for once."""
        for _ in range(_SIBLING_LOOKS):
            if not self._half_ended:
                return
            sleep(_LOOK_SECONDS / 5)
        self._half_ended.clear()

    def _renew_beside_the_hub(self) -> None:
        """In a native thread: while something computes, the hub may not come to `beat()` for longer than a lease."""
        if self._clock.monotonic() - self._beaten_at < _LEASES_WITHOUT_A_BEAT * self._settings.lease_seconds:
            failed = self._runner.guard("renew the leases", self._queue.renew_here)
            if isinstance(failed, Exception):
                LOG.warning("could not renew the leases, it is tried again: %s", failed)

    def _recover(self) -> None:
        """What an earlier incarnation left running; tried until the database answers."""
        while not self._stopping.ready():
            found = self._runner.guard("recover the queue", self._queue.recover)
            if not isinstance(found, Exception):
                self._tell_lost(found)
                return
            LOG.warning("the queue cannot be read: %s", found)
            self._bell.wait(self._settings.poll_seconds)

    def _tell_lost(self, tasks: list[Task]) -> None:
        for task in tasks:
            LOG.warning("task %s image %s region %s: its server %s gave no sign of life, it starts again", task.id,
                        task.image_id, task.region, task.owner)
        if tasks:
            self.ring()

    def _most(self, region: str) -> int:
        """How many tasks may run there, in all servers together."""
        room, most = self._gate.room(region), self._settings.max_tasks_per_region
        return most if room is None else min(room, most)

    def _postpone_paused(self) -> None:
        """What is due in a region that is left alone waits as long as that."""
        pauses, at = self._gate.pauses(), self._clock.monotonic()
        if not pauses or at - self._postponed_at < min(_POSTPONE_SECONDS, self._settings.poll_seconds):
            return
        self._postponed_at = at
        for region, paused in pauses.items():
            seconds = paused.retry_after_seconds or 0
            if seconds > 0:
                self._queue.postpone(region, seconds, code=paused.code, reason=paused.message)

    def _start(self, handle: TaskHandle) -> GreenThread:
        self._share.begun(handle.task.region)
        thread = self._pool.spawn(self._execute, handle)
        self._running[claim_key(handle.task)] = handle, thread
        return thread

    def _execute(self, handle: TaskHandle) -> None:
        try:
            self._runner.execute(handle)
        finally:
            self._forget(handle)

    def _forget(self, handle: TaskHandle) -> None:
        handle.gathering.leave()
        del self._running[claim_key(handle.task)]
        self._note_siblings(handle.task.image_id)
        self._share.ended(handle.task.region)
        self.ring()

    def _note_siblings(self, image_id: str) -> None:
        if any(other.task.image_id == image_id for other, _thread in self._running.values()):
            self._half_ended.add(image_id)
        else:
            self._half_ended.discard(image_id)

    def _flag(self, key: ClaimKey, error: GlanceSyncError) -> None:
        if key in self._running:
            self._running[key][0].stop(error)

    def _repeat(self, doing: str, function: Callable[[], None], seconds: Callable[[], float], end: Event) -> None:
        while not end.ready():
            failed = self._runner.guard(doing, function)
            if isinstance(failed, Exception):
                LOG.warning("could not %s, it is tried again: %s", doing, failed)
            if not end.ready():
                end.wait(seconds())

    def _beat_seconds(self) -> float:
        return min(_BEAT_SECONDS, self._settings.lease_seconds / 6)

    def _sweep_seconds(self) -> float:
        return sweep_seconds(self._settings.lease_seconds, self._random())


def sweep_seconds(lease_seconds: float, random: float) -> float:
    """Until the next sweep (pure), with jitter, so that several servers do not sweep at the same moment. At most 2.5 s:
    what a dead server ran begins again within its lease and half of the 5 s that are promised."""
    return min(_SWEEP_SECONDS, lease_seconds / 4) * (0.75 + random / 2)
