# SPDX-License-Identifier: Apache-2.0
"""Options and fixtures of all tests. `--full` adds what is slow."""
from __future__ import annotations

import pytest

pytest_plugins = ["tests.fixtures.cloud", "tests.fixtures.databases", "tests.fixtures.images",
                  "tests.fixtures.main_job", "tests.fixtures.trusting"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also run the tests marked `full`")
    parser.addoption("--lab-dir", metavar="DIR", help="use the lab of this directory, or make one there, and leave "
                     "it standing")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    skip = pytest.mark.skip(reason="slow; runs with --full")
    for item in items:
        if "full" in item.keywords:
            item.add_marker(skip)
