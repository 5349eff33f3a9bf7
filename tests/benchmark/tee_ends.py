# SPDX-License-Identifier: Apache-2.0
"""`tee_ends.py MEBIBYTES`: both ends of a tee without a Glance: prints its port, serves until it is ended.

GET is answered with so many MiB, a PUT in chunks with 204 after its last one, when md5 and sha512 of what came are
computed, as a Glance does. One process for each end, so that what the tee itself costs can be told. Used by `tee_cpu`.
"""
from __future__ import annotations

import hashlib
import re
import socket
import sys
import threading

_BLOCK = b"\xa5" * (1 << 20)
_READ_BYTES = 65536
_LAST = b"0\r\n\r\n"


def main(mebibytes: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, mebibytes), daemon=True).start()


def serve(connection: socket.socket, mebibytes: int) -> None:
    with connection:
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(_READ_BYTES)
            if not more:
                return
            head += more
        head, _, rest = head.partition(b"\r\n\r\n")
        (give if head.startswith(b"GET") else take)(connection, head, rest, mebibytes)


def give(connection: socket.socket, _head: bytes, _rest: bytes, mebibytes: int) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n"
                       b"Content-Length: %d\r\n\r\n" % (mebibytes << 20))
    for _ in range(mebibytes):
        connection.sendall(_BLOCK)


def take(connection: socket.socket, head: bytes, rest: bytes, _mebibytes: int) -> None:
    if re.search(rb"(?i)\r\nexpect: *100-continue", head):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    hashes, tail, piece = (hashlib.md5(usedforsecurity=False), hashlib.sha512()), b"", rest
    while True:
        for each in hashes:
            each.update(piece)
        tail = (tail + piece)[-len(_LAST):]
        if tail == _LAST:
            break
        piece = connection.recv(_READ_BYTES)
        if not piece:
            return
    connection.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
