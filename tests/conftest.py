# SPDX-License-Identifier: Apache-2.0
"""Options and fixtures of all tests. `--full` adds what is slow."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GLANCE_28 = Path(__file__).parents[1] / ".venv-glance28"

pytest_plugins = ["tests.fixtures.browser", "tests.fixtures.cloud", "tests.fixtures.databases",
                  "tests.fixtures.images", "tests.fixtures.main_job", "tests.fixtures.trusting",
                  "tests.fixtures.faulty_lab"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also run the tests marked `full`")
    parser.addoption("--lab-dir", metavar="DIR", help="use the lab of this directory, or make one there, and leave "
                     "it standing")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With --full, tests marked `every_glance` run with Glance 28 as well."""
    if "lab" in metafunc.fixturenames and metafunc.definition.get_closest_marker("every_glance") \
            and metafunc.config.getoption("--full"):
        metafunc.parametrize("lab", [None, str(GLANCE_28)], indirect=True, scope="session", ids=["glance", "glance28"])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long tests first, so that two processes end together; one process has one cloud at a time, and in one alone each
    is started once."""
    items.sort(key=lambda item: (_is_with_glance_28(item), _rank(item)))
    if config.getoption("--full"):
        return
    skip = pytest.mark.skip(reason="slow; runs with --full")
    for item in items:
        if "full" in item.keywords:
            item.add_marker(skip)


def _rank(item: pytest.Item) -> int:
    kinds = ("probe", "functional", "contract", "unit")
    return next((rank for rank, kind in enumerate(kinds) if f"tests/{kind}/" in item.nodeid), len(kinds))


def _is_with_glance_28(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    return call is not None and call.params.get("lab") is not None


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """tell(text): a figure or a seed that whoever ran the tests sees at the end, however many processes there were."""
    def say(text: str) -> None:
        print(text)
        request.node.user_properties.append(("told", text))

    return say


def pytest_terminal_summary(terminalreporter: Any) -> None:
    told = [text for reports in terminalreporter.stats.values() for report in reports
            if getattr(report, "when", None) == "call"
            for name, text in getattr(report, "user_properties", ()) if name == "told"]
    if told:
        terminalreporter.section("told by tests")
        for text in told:
            terminalreporter.line(text)
