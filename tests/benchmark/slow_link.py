# SPDX-License-Identifier: Apache-2.0
"""`slow_link.py PORT BYTES_A_SECOND`: prints a port that leads to PORT of this machine, no faster than that each way.
Used by `store_files`; a process of its own, for whoever times something has no time for it."""
from __future__ import annotations

import socket
import sys
import threading
import time

_PIECE_BYTES = 262144


def main(port: str, bytes_a_second: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            near = listener.accept()[0]
            far = socket.create_connection(("127.0.0.1", int(port)))
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=(source, target, float(bytes_a_second)), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, bytes_a_second: float) -> None:
    due = time.monotonic()
    while data := source.recv(_PIECE_BYTES):
        target.sendall(data)
        due = max(due, time.monotonic() - 0.05) + len(data) / bytes_a_second
        time.sleep(max(0.0, due - time.monotonic()))
    target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main(*sys.argv[1:])
