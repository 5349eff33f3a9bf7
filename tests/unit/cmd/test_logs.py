# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from oslo_log.formatters import JSONFormatter

from glancesync.cmd.logs import InertFormatter, make_inert
from glancesync.concurrency import sleep, spawn
from glancesync.model.about import about, current


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


def test_a_json_line_says_what_it_is_about(stream: io.StringIO) -> None:
    logger = logging.getLogger("glancesync.test_json")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    logger.addHandler(handler)
    make_inert(logger)
    try:
        with about(task_id="t", image_id="i", region="Two\n", request_id=None):
            logger.warning("copied %s\x1b", "all")
        try:
            raise ValueError("why")
        except ValueError:
            logger.exception("failed")
    finally:
        logger.removeHandler(handler)
    inside, outside = (json.loads(line) for line in stream.getvalue().splitlines())
    assert inside["message"] == "copied all\\x1b"
    assert inside["extra"] == {"task_id": "t", "image_id": "i", "region": "Two\n"}
    assert outside["extra"] == {}
    assert "ValueError: why" in outside["traceback"]


def test_each_green_thread_is_about_its_own() -> None:
    def run(name: str) -> dict[str, str]:
        with about(task_id=name):
            sleep(0)
            return dict(current())

    threads = [spawn(run, name) for name in ("a", "b")]
    assert [thread.wait() for thread in threads] == [{"task_id": "a"}, {"task_id": "b"}]
    assert current() == {}
