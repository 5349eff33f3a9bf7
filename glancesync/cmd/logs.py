# SPDX-License-Identifier: Apache-2.0
"""The border of the log: whatever was put into a message, one message is one line. Called by the daemon's start."""
from __future__ import annotations

import copy
import logging

from oslo_config import cfg

from glancesync.model.about import current
from glancesync.model.text import inert


class InertFormatter(logging.Formatter):
    """Formats by another formatter. What a message holds of others cannot begin a line of its own, nor steer the
    terminal of whoever reads the log; only a traceback has several lines. What the line is about (task, image, region,
    request) goes along as `extra`, which oslo.log's JSON shows (use_json)."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        shown = copy.copy(record)
        shown.msg, shown.args = inert(record.getMessage()), None
        shown.extra = {**getattr(record, "extra", {}), **current()}
        text = self._inner.format(shown)
        if not record.exc_info:  # oslo.log says the error once more that the message tells of
            text = text.removesuffix(f": {getattr(shown, 'error_summary', '')}")
        return inert(text, lines=True)


def make_inert(logger: logging.Logger) -> None:
    """Wrap the formatters of the logger's handlers; those that are wrapped already stay as they are."""
    for handler in logger.handlers:
        if not isinstance(handler.formatter, InertFormatter):
            handler.setFormatter(InertFormatter(handler.formatter or logging.Formatter()))


def arrange_logs(conf: cfg.ConfigOpts) -> None:
    """One line per outcome is for everybody, one per request for who asks for it. Nobody's text steers a terminal."""
    make_inert(logging.getLogger())
    logging.getLogger("glancesync.access").setLevel(logging.DEBUG if conf.debug else logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It warns at each start of what an operator cannot change or need not.
    logging.getLogger("keystonemiddleware").setLevel(logging.WARNING if conf.debug else logging.ERROR)
