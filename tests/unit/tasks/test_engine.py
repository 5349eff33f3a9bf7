# SPDX-License-Identifier: Apache-2.0
"""How an engine is found, and what is said where there is none."""
from __future__ import annotations

import random
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from stevedore import ExtensionManager

from glancesync.clock import SystemClock
from glancesync.conf.celery import CelerySettings
from glancesync.conf.worker import WorkerSettings
from glancesync.db.engine import Database
from glancesync.exceptions import ConfigurationError
from glancesync.model.task import Outcome
from glancesync.tasks.engine import NAMESPACE, EngineParts, list_engines, load_engine
from glancesync.tasks.queue import TaskQueue
from glancesync.tasks.worker import Worker


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[EngineParts]:
    database, settings = Database(f"sqlite:///{tmp_path}/queue.db"), WorkerSettings()
    yield EngineParts(database=database, queue=TaskQueue(database, "one", settings), settings=settings,
                      celery=CelerySettings(), run=lambda _handle: Outcome(code="in_sync", reason=""),
                      clock=SystemClock(), random=random.random)
    database.close()


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """The engine `new` of a module with that code."""
    (folder / "an_engine.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(ExtensionManager, "list_entry_points",
                        lambda _self: [EntryPoint(name="new", value="an_engine:make", group=NAMESPACE)])


def test_local_is_the_pool_of_this_process(parts: EngineParts) -> None:
    engine = load_engine("local", parts)
    assert isinstance(engine, Worker)
    assert (engine.name, engine.capacity, engine.trouble, engine.running) == ("local", 16, None, 0)


def test_an_unknown_name_is_answered_with_those_that_there_are(parts: EngineParts) -> None:
    with pytest.raises(ConfigurationError, match="engine = lokal names no engine .* there are .*local"):
        load_engine("lokal", parts)
    assert "local" in list_engines()


def test_a_missing_package_is_named_with_what_installs_it(parts: EngineParts, monkeypatch: pytest.MonkeyPatch,
                                                          tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "import no_such_package_anywhere\n")
    with pytest.raises(ConfigurationError, match=r"no_such_package_anywhere: pip install 'glancesync\[new\]'"):
        load_engine("new", parts)


def test_an_engine_that_breaks_says_why(parts: EngineParts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "raise RuntimeError('no luck')\n")
    with pytest.raises(ConfigurationError, match="engine = new cannot be loaded: no luck"):
        load_engine("new", parts)
