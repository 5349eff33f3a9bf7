# SPDX-License-Identifier: Apache-2.0
"""What ssh is told, and what it means when it fails (pure). Used by ssh.

Nothing here is a shell string on this host. The remote side always is one, by ssh's protocol: `shlex` quotes each word.
"""
from __future__ import annotations

import shlex
from collections.abc import Sequence

from glancesync.exceptions import (
    StoreCopyError,
    StoreCutError,
    StoreFullError,
    StoreHostKeyError,
    StoreLoginError,
    StoreSourceMissingError,
    StoreUnreachableError,
    StoreWriteError,
)
from glancesync.model.store import SshAccess
from glancesync.model.text import inert

#: ssh's own exit status; every other is the remote command's.
SSH_FAILED = 255
_SILENT_SECONDS = 15
_MAX_TOLD = 300
#: What ssh offers by itself, the cipher first that costs processors least; it leaves them time for the hash.
CIPHERS = ",".join(("aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr",
                    "aes192-ctr", "aes256-ctr"))
#: What ssh writes, to what it means; the first that fits.
_OF_SSH: tuple[tuple[str, type[StoreCopyError]], ...] = (
    ("host key verification failed", StoreHostKeyError), ("host identification has changed", StoreHostKeyError),
    ("no matching host key", StoreHostKeyError), ("host key is known", StoreHostKeyError),
    ("permission denied (", StoreLoginError), ("too many authentication failures", StoreLoginError),
    ("no supported authentication methods", StoreLoginError), ("permission denied, please try again", StoreLoginError),
    ("connection refused", StoreUnreachableError), ("timed out", StoreUnreachableError),
    ("no route to host", StoreUnreachableError), ("could not resolve", StoreUnreachableError),
    ("network is unreachable", StoreUnreachableError), ("name or service not known", StoreUnreachableError),
    ("connection reset by", StoreCutError),
)
#: What the remote commands write.
_OF_COMMANDS: tuple[tuple[str, type[StoreCopyError]], ...] = (
    ("no space left", StoreFullError), ("quota exceeded", StoreFullError), ("file too large", StoreFullError),
    ("permission denied", StoreWriteError), ("operation not permitted", StoreWriteError),
    ("read-only file system", StoreWriteError),
    ("no such file", StoreWriteError), ("not a directory", StoreWriteError),
)


def ssh_arguments(access: SshAccess, control_path: str, *, connect_timeout_seconds: int, master: bool) -> list[str]:
    """`ssh` with everything before the remote command. A `master` opens the connection that others share; the others
    never ask for a password. Host keys are always checked, nothing of a user's own ssh configuration is read."""
    options = {
        "StrictHostKeyChecking": "yes", "UpdateHostKeys": "no", "ControlPath": control_path,
        "ControlMaster": "yes" if master else "no", "ConnectTimeout": str(connect_timeout_seconds),
        "ServerAliveInterval": str(_SILENT_SECONDS), "ServerAliveCountMax": "2", "LogLevel": "ERROR",
        "ForwardAgent": "no", "ForwardX11": "no", "ClearAllForwardings": "yes", "PermitLocalCommand": "no",
        "RequestTTY": "no", "EscapeChar": "none", "NumberOfPasswordPrompts": "1",
        "BatchMode": "no" if master and access.password else "yes",
        "PreferredAuthentications": "publickey,keyboard-interactive,password" if access.password else "publickey",
    }
    if master:
        options["ControlPersist"] = "60"
    if access.known_hosts_file:
        options |= {"UserKnownHostsFile": access.known_hosts_file, "GlobalKnownHostsFile": "/dev/null"}
    if access.key_file:
        options |= {"IdentitiesOnly": "yes", "IdentityFile": access.key_file}
    options["Ciphers"] = access.cipher or CIPHERS
    if access.jump_host:
        options["ProxyJump"] = access.jump_host
    named = [word for name, value in options.items() for word in ("-o", f"{name}={_quoted(value)}")]
    return ["ssh", "-F", "none", *named, "-p", str(access.port), "-l", access.user, "--", access.host]


def _quoted(value: str) -> str:
    """ssh splits options at blanks and expands %; paths may have both."""
    value = value.replace("%", "%%")
    return f'"{value}"' if " " in value else value


def remote_command(words: Sequence[str]) -> str:
    """The one string that ssh gives to the account's shell; every word is inert there."""
    return shlex.join(words)


def classify(status: int, stderr: str, *, what: str, reads: bool = False) -> StoreCopyError:
    """The error that a failed ssh means; `what` says where. `reads`: the command reads the source's file."""
    text, told = stderr.lower(), _told(stderr)
    if status == SSH_FAILED or status < 0:
        for words, kind in _OF_SSH:
            if words in text:
                return kind(f"{what}: {told}")
        return StoreCutError(f"{what}: the connection broke{told and ': '}{told}")
    if reads:
        return StoreSourceMissingError(f"{what}: {told or f'status {status}'}")
    for words, kind in _OF_COMMANDS:
        if words in text:
            return kind(f"{what}: {told}")
    return StoreCopyError(f"{what}: status {status}{told and ': '}{told}")


def _told(stderr: str) -> str:
    """The last line, short and inert: what a host writes is a stranger's text."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return inert(lines[-1][:_MAX_TOLD]) if lines else ""
