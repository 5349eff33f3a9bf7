# SPDX-License-Identifier: Apache-2.0
"""The agent's entry: one request, one report.

    glance-sync-store-shell REQUEST                  do it; REQUEST is JSON
    glance-sync-store-shell --print                  print the agent as one file that needs python3 alone
    glance-sync-store-shell --folder DIR [--folder DIR ...] [--read-only]
            [--peer-key-file FILE --peer-known-hosts-file FILE --peer HOST ...]
                                                     the forced command of an account: what SSH_ORIGINAL_COMMAND asks

Reports are JSON objects, a line each, on the output (but for `send`, whose output is the bytes); what goes wrong is one
on stderr, with exit status 3. Where the input is no stream of bytes its end means that nobody waits any more.
"""
from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence

from glancesync.stores.agent import moves
from glancesync.stores.agent.bundle import script
from glancesync.stores.agent.confined import clean_environment, read_limits, select_permitted
from glancesync.stores.agent.files import Part, discard
from glancesync.stores.agent.hop import Hop
from glancesync.stores.agent.taker import Taker
from glancesync.stores.agent.words import VERSION, Failure, Request, failure_of, path_of, read_request, say

FAILED = 3
_TRIAL_BYTES = 8 << 20
_COPIES: dict[str, Callable[[Request, Part], None]] = {
    "receive": moves.receive, "pull": moves.pull, "clone": moves.clone}


def entry() -> None:
    """The installed command."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    try:
        if list(arguments) == ["--print"]:
            sys.stdout.write(script())
        elif arguments and arguments[0].startswith("--"):
            _run_confined(arguments)
        else:
            run(read_request(arguments[0] if len(arguments) == 1 else ""))
    except Failure as failure:
        return _tell(failure)
    except BrokenPipeError:
        return _tell(Failure("cut", "nobody takes what this host says"))
    except OSError as error:
        return _tell(failure_of(error))
    return 0


def _tell(failure: Failure) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write(json.dumps(failure.fields) + "\n")
        sys.stderr.flush()
    return FAILED


def _run_confined(arguments: Sequence[str]) -> None:
    limits = read_limits(arguments)
    found = select_permitted(limits, os.environ.get("SSH_ORIGINAL_COMMAND", ""))
    environment = clean_environment(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    if isinstance(found, list):
        os.execvp(found[0], found)  # noqa: S606 # nosec B606 - a list, put together anew
    elif found is not None:
        run(found)


def run(request: Request) -> None:
    """Raises Failure and OSError; then nothing of it is left."""
    what = request["do"]
    if what in _COPIES:
        return _copy(_COPIES[what], request)
    if what == "send":
        return moves.send(request)
    if what == "remove":
        discard(path_of(request), request.get("mark", ""))
    elif what == "reach":
        hop = Hop(request["hop"], "hello")
        hop.output.read()
        hop.end()
    elif what == "hash":
        moves.compare_hash(request)
    elif what == "check":
        _check(request["folder"])
    elif what == "free":
        say(free=_free(request["folder"]))
    return say(done=True, version=VERSION)


def _copy(copy: Callable[[Request, Part], None], request: Request) -> None:
    part = Part(path_of(request), request.get("mark", ""))

    def leave(*_given: object) -> None:
        part.abandon()
        if os.getsid(0) == os.getpgrp():  # nobody's but sshd's: ssh and rsync end as well
            os.killpg(0, signal.SIGKILL)
        os._exit(FAILED)

    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, leave)
    if copy is not moves.receive:
        threading.Thread(target=_wait_for_end, args=(leave,), daemon=True).start()
    try:
        copy(request, part)
    except BaseException:
        part.abandon()
        raise


def _wait_for_end(leave: Callable[[], None]) -> None:
    """Who wants the result holds the input open."""
    while os.read(0, 1024):
        pass
    leave()


def _free(folder: str) -> int:
    """Bytes that an account like this one may still write."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _check(folder: str) -> None:
    """Whether files can be made here, how fast, and what else the host has."""
    part = Part(os.path.join(folder, str(uuid.uuid4())))
    started = time.monotonic()
    try:
        part.make()
        taker = Taker(part, {"size": _TRIAL_BYTES, "digest": None})
        buffer = taker.hash.borrow()
        while taker.hash is not None and os.fstat(part.file).st_size < _TRIAL_BYTES:
            taker.take(buffer, len(buffer))
            buffer = taker.hash.borrow()
        part.hand_over()
    finally:
        part.abandon()
    say(free=_free(folder), trial=_TRIAL_BYTES, seconds=time.monotonic() - started,
        rsync=shutil.which("rsync") is not None)


if __name__ == "__main__":
    entry()
