# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from glancesync.cmd.logs import InertFormatter, make_inert


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def logger(stream: io.StringIO) -> Iterator[logging.Logger]:
    found = logging.getLogger("glancesync.test_logs")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    found.addHandler(handler)
    make_inert(found)
    yield found
    found.removeHandler(handler)


def test_no_message_begins_a_line_of_its_own(logger: logging.Logger, stream: io.StringIO) -> None:
    logger.warning("user %s chose", "u\nERROR deleted everything\x1b[2J\u202e")
    assert stream.getvalue() == "WARNING user u\\x0aERROR deleted everything\\x1b[2J\\u202e chose\n"


def test_a_percent_sign_of_others_formats_nothing(logger: logging.Logger, stream: io.StringIO) -> None:
    logger.warning("image %s", "%s %(name)s %n")
    logger.warning("100 % sure %s")
    assert stream.getvalue() == "WARNING image %s %(name)s %n\nWARNING 100 % sure %s\n"


def test_a_traceback_keeps_its_lines_and_steers_nothing(logger: logging.Logger, stream: io.StringIO) -> None:
    try:
        raise ValueError("\x1b]0;title\x07")
    except ValueError:
        logger.exception("failed")
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["ERROR failed", "Traceback (most recent call last):"]
    assert lines[-1] == "ValueError: \\x1b]0;title\\x07"


def test_it_is_wrapped_once(logger: logging.Logger) -> None:
    make_inert(logger)
    formatter = logger.handlers[0].formatter
    assert isinstance(formatter, InertFormatter)
    assert not isinstance(formatter._inner, InertFormatter)
