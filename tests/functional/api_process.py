# SPDX-License-Identifier: Apache-2.0
"""The API over a core that only remembers, served as the daemon serves it: HOST:PORT on stdout, until it is ended.

Run by test_api_wire with a folder and the seconds that a client has.
"""
from __future__ import annotations

from glancesync import concurrency

concurrency.monkey_patch()

import logging  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from glancesync import serving  # noqa: E402
from tests.unit.api.fakes import FakeService, build_app  # noqa: E402


def main(folder: str, client_seconds: str) -> None:
    logging.basicConfig(level=logging.DEBUG, filename=str(Path(folder) / "log"))
    app = build_app(FakeService(), Path(folder))
    listener = concurrency.listen("127.0.0.1", 0)
    print("{}:{}".format(*listener.getsockname()[:2]), flush=True)
    limits = serving.ConnectionLimits(socket_timeout_seconds=float(client_seconds),
                                      keepalive_seconds=float(client_seconds))
    serving.serve(listener, app, pool=concurrency.GreenPool(100), log=logging.getLogger("access"), limits=limits)


if __name__ == "__main__":
    main(*sys.argv[1:])
