# SPDX-License-Identifier: Apache-2.0
"""ssh from this host to another one, with this host's own key. Used by moves."""
from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO, Any

from glancesync.stores.agent.bundle import invocation
from glancesync.stores.agent.words import VERSION, Failure, Request

_MAX_TOLD = 8192
_SSH_FAILED = 255


def hop_arguments(hop: Request, **more: str) -> list[str]:
    """ssh with everything before `-- HOST`. Nothing is asked, and no key is trusted that is not known. `more`: other
    options of ssh's."""
    options = {
        "BatchMode": "yes", "StrictHostKeyChecking": "yes", "UpdateHostKeys": "no", "IdentitiesOnly": "yes",
        "IdentityFile": hop["key_file"], "UserKnownHostsFile": hop["known_hosts_file"],
        "GlobalKnownHostsFile": "/dev/null", "PreferredAuthentications": "publickey", "LogLevel": "ERROR",
        "ConnectTimeout": str(hop["connect_seconds"]), "ServerAliveInterval": "15", "ServerAliveCountMax": "2",
        "ClearAllForwardings": "yes", "ForwardAgent": "no", "ForwardX11": "no", "PermitLocalCommand": "no",
        "RequestTTY": "no", "EscapeChar": "none", "ControlPath": "none", "Ciphers": hop["ciphers"], **more}
    named = [word for name, value in options.items() for word in ("-o", f"{name}={_quoted(value)}")]
    return ["ssh", "-F", "none", *named, "-p", str(hop["port"]), "-l", hop["user"]]


def _quoted(value: str) -> str:
    value = value.replace("%", "%%")
    return f'"{value}"' if " " in value else value


class Hop:
    """A request that another host works on; its output is `output`."""

    def __init__(self, hop: Request, what: str) -> None:
        wanted = {"version": VERSION, "do": what, "folder": hop["folder"], "name": hop.get("name") or ""}
        command = " ".join(map(shlex.quote, invocation(wanted)))
        self._start([*hop_arguments(hop), "--", hop["host"], command])

    def _start(self, arguments: Sequence[str]) -> None:
        self._errors = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(list(arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                             stderr=self._errors)
        except OSError as error:
            raise Failure("hop", f"ssh cannot be started: {error.strerror}", status=255) from None

    @property
    def output(self) -> IO[bytes]:
        if self._process.stdout is None:
            raise Failure("failed", "it has no output")
        return self._process.stdout

    def end(self, failure: Failure | None = None) -> None:
        """Wait for it, or end it where the failure is this side's own. Raises what went wrong."""
        if failure is not None and failure.code != "cut":
            self.kill()
            raise failure
        status = self._process.wait()
        if status:
            raise told_failure(self._told(), status)
        if failure is not None:
            raise failure

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _told(self) -> str:
        self._errors.seek(0)
        return self._errors.read(_MAX_TOLD).decode("utf-8", "replace")


class SharedHop:
    """A connection to another host that is opened beside other work, for a command that comes later. It ends by itself
    soon after the last command, whatever becomes of this process."""

    def __init__(self, hop: Request) -> None:
        self._hop = hop
        self._folder = tempfile.mkdtemp(prefix="gsync-")  # mode 0700
        self._path = f"{self._folder}/shared"
        self._process = self._start("-o", "ControlMaster=yes", "-o", "ControlPersist=10", "--", hop["host"], "true")

    def arguments(self) -> list[str]:
        """As hop_arguments has it, once the connection is there. Raises Failure where there is none."""
        status = self._process.wait()
        if status == _SSH_FAILED:
            raise Failure("hop", "ssh did not get there", status=status)
        return hop_arguments(self._hop, ControlPath=self._path)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._start("-O", "exit", "--", self._hop["host"]).wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*hop_arguments(self._hop, ControlPath=self._path), *words], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def told_failure(told: str, status: int) -> Failure:
    """What an agent on another host wrote last; else what ssh did."""
    lines = [line for line in told.splitlines() if line.strip()]
    try:
        fields: dict[str, Any] = json.loads(lines[-1])
        return Failure(str(fields["error"]), str(fields["told"]))
    except (ValueError, IndexError, KeyError, TypeError, RecursionError):
        return Failure("hop", "\n".join(lines[-3:]), status=status)
