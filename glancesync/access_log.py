# SPDX-License-Identifier: Apache-2.0
"""What eventlet's server says of each request, without the stack traces of clients that left. Used by serving."""
from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

#: How such a trace ends: the client closed its end, or took its answer too slowly and was cut off.
_LEFT = ("BrokenPipeError", "ConnectionResetError", "TimeoutError: the answer took too long")


class AccessLog(logging.LoggerAdapter[logging.Logger]):
    """Takes eventlet's lines. A browser that is closed while the page's stream goes on is no error: a line tells."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        text = str(msg)
        cause = text.rstrip().rpartition("\n")[2]
        if text.startswith("Traceback") and cause.startswith(_LEFT):
            return f"a client left before it had its whole answer ({cause})", kwargs
        return msg, kwargs
