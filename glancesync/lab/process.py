# SPDX-License-Identifier: Apache-2.0
"""Process groups by pid: is it still ours, who is in it, signal it. Used by `service` alone.

A pid is used again by the kernel, so it is remembered with the time at which its process started. A group outlives
its leader (a killed gunicorn master leaves workers), so members are found by their group and by the directory in
which they work: each service has one of its own. (Their environment would not do: setproctitle writes over it.)
"""
from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class ProcessGroup:
    """The group that `pid` leads or led. `started` is in clock ticks since boot; all members work in or below
    `directory`."""

    pid: int
    started: int
    directory: str


@dataclass(frozen=True, kw_only=True)
class _Stat:
    group: int
    started: int


def _find_stat(pid: int) -> _Stat | None:
    """What /proc says of a process; None when there is none or only its zombie is left."""
    try:
        # The command's name is in parentheses and may hold spaces and parentheses of its own.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else _Stat(group=int(fields[2]), started=int(fields[19]))


def _works_in(pid: int, directory: str) -> bool:
    try:
        return (PROC / str(pid) / "cwd").readlink().is_relative_to(directory)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def group_of(pid: int, directory: str) -> ProcessGroup | None:
    """The group of a process that was just started as leader; None when it is gone already."""
    stat = _find_stat(pid)
    return ProcessGroup(pid=pid, started=stat.started, directory=directory) if stat else None


def is_leader_alive(group: ProcessGroup) -> bool:
    stat = _find_stat(group.pid)
    return stat is not None and stat.started == group.started


def list_members(group: ProcessGroup) -> list[int]:
    """Pids of the group that live and are ours."""
    pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
    members = []
    for pid in pids:
        stat = _find_stat(pid)
        if stat is None or stat.group != group.pid:
            continue
        if (pid == group.pid and stat.started == group.started) or _works_in(pid, group.directory):
            members.append(pid)
    return sorted(members)


def send(group: ProcessGroup, signum: signal.Signals) -> None:
    """Signal every member; nobody else, even if the leader's pid went to a stranger meanwhile."""
    for pid in list_members(group):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)
