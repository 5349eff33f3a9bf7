# SPDX-License-Identifier: Apache-2.0
"""The shipped pipeline over a fake core, called as one of several people."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api.fakes import Caller, FakeService, build_app


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def app(service: FakeService, tmp_path: Path) -> Any:
    return build_app(service, tmp_path)


@pytest.fixture
def caller(app: Any) -> Callable[[str], Caller]:
    """caller(name): sends requests as one of CALLERS."""
    return lambda name: Caller(app, name)


@pytest.fixture
def admin(app: Any) -> Caller:
    return Caller(app, "admin")
