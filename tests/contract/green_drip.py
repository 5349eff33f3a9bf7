# SPDX-License-Identifier: Apache-2.0
"""A patched process, as the server is, before a Glance whose answers' heads never end. Run by test_green_drip; exit
status 0 when each call was given up in time, with an error that says so."""
from __future__ import annotations

from glancesync import concurrency

concurrency.monkey_patch()

import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402

from keystoneauth1.session import Session  # noqa: E402
from keystoneauth1.token_endpoint import Token  # noqa: E402

from glancesync.exceptions import GlanceSyncError, RegionUnavailableError, TransferStalledError  # noqa: E402
from glancesync.regions.glance import GlanceRegion  # noqa: E402
from tests.fixtures.faults import Endless  # noqa: E402
from tests.fixtures.faulty_proxy import proxying  # noqa: E402

ID = "b1e4bd3c-4c1e-4a6e-9f0a-0d7f3f9b6d11"
CALL_SECONDS = 1.0


def main() -> None:
    with proxying("http://127.0.0.1:9") as proxy, concurrency.Timeout(30, TimeoutError("a call hung")):
        for method in ("GET", "PUT", "DELETE"):
            proxy.add(method, "", Endless(b"x", 0.02, head=True))
        session = Session(auth=Token(proxy.url, "token"))
        session.session.trust_env = False
        region = GlanceRegion(region_name="Two", endpoint=proxy.url, session=session, connect_timeout_seconds=5,
                              read_timeout_seconds=5, idle_timeout_seconds=5, call_timeout_seconds=CALL_SECONDS)
        expect(RegionUnavailableError, lambda: region.get_image(ID))
        expect(RegionUnavailableError, lambda: region.delete_image(ID))
        expect(RegionUnavailableError, lambda: region.open_data(ID).__enter__())
        expect(TransferStalledError, lambda: region.upload_data(ID, [b"bytes"], size=5))


def expect(kind: type[GlanceSyncError], call: Callable[[], object]) -> None:
    started = time.monotonic()
    try:
        call()
    except kind as error:
        seconds, blamed = time.monotonic() - started, error.region
    print(f"{seconds:.2f} s, {blamed} is to blame")
    assert seconds < CALL_SECONDS + 2
    assert blamed == "Two"


if __name__ == "__main__":
    main()
    sys.exit(0)
