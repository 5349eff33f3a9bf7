# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import traceback

import pytest

from glancesync.access_log import AccessLog

LOG = logging.getLogger("glancesync.test-access")


def trace_of(error: Exception) -> str:
    """As eventlet tells it."""
    try:
        raise error
    except Exception:  # noqa: BLE001 - whatever it is
        return traceback.format_exc()


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), ConnectionResetError(104, "reset by peer"),
                                   TimeoutError("the answer took too long")])
def test_a_client_that_left_is_one_line(caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    with caplog.at_level(logging.INFO, LOG.name):
        AccessLog(LOG).info(trace_of(error))
    [line] = caplog.messages
    assert line.startswith("a client left before it had its whole answer")
    assert type(error).__name__ in line
    assert "\n" not in line


@pytest.mark.parametrize("text", [trace_of(ValueError("BrokenPipeError")), trace_of(TimeoutError("of a database")),
                                  '127.0.0.1 - - "GET /v1/regions HTTP/1.1" 200 12 0.01', "100 % of %s"])
def test_everything_else_is_told_as_it_is(caplog: pytest.LogCaptureFixture, text: str) -> None:
    with caplog.at_level(logging.INFO, LOG.name):
        AccessLog(LOG).info(text)
    assert caplog.messages == [text]
