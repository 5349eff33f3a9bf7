# SPDX-License-Identifier: Apache-2.0
"""The judges of random histories find what they are there for: one that finds nothing must be able to find something.

Everything is planted while the server is off, so that nothing but the judge can have to do with it.
"""
from __future__ import annotations

import hashlib
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from glancesync.lab.service import Service
from tests.fixtures.history import History
from tests.fixtures.history_faults import Faults
from tests.fixtures.history_ledger import LABEL, Entry, Journal
from tests.fixtures.history_plan import Shape
from tests.fixtures.history_remains import Remains
from tests.fixtures.images import ImagesOf
from tests.fixtures.polling import eventually

RIGHT, WRONG = b"right", b"wrong"


@pytest.fixture
def settled(lab: Lab, sync_server: SyncServer, images: ImagesOf,
            tmp_path: Path) -> Iterator[tuple[History, list[Entry]]]:
    """A history with five images, in which nothing is wrong; users look on."""
    history = History(lab, "judges", Shape(), tmp_path / "history.log")
    entries = [history.ledger.add("demo") for _ in range(5)]
    for entry in entries:
        entry.contents.add(hashlib.sha512(RIGHT).hexdigest())
        images("demo").create(data=RIGHT, id=entry.image_id, visibility="community", **{LABEL: entry.label})
    history.watcher.start()
    try:
        report = history.verdict().settle(60)
        assert not report.findings
        yield history, entries
    finally:
        history.watcher.stop()


@pytest.mark.lab
def test_what_is_wrong_in_a_region_is_found(settled: tuple[History, list[Entry]], lab: Lab, images: ImagesOf) -> None:
    history, (other_bytes, deleted, renamed, relabelled, untouched) = settled
    verdict, pairs = history.verdict(), history.verdict().own_pairs()
    assert {pair.state for pair in pairs} == {"in_sync"}
    lab.server.stop()
    one, another = lab.cascaded_regions
    (lab.glances[one].store_path / other_bytes.image_id).write_bytes(WRONG)
    images("admin", another).delete(deleted.image_id)
    images("admin", one).set(renamed.image_id, name="another")
    images("admin", another).add_tag(relabelled.image_id, "planted")

    assert _by_image(verdict.judge(pairs, files=False)) == {
        deleted.image_id: f"image in {another} is missing",
        renamed.image_id: f"image in {one} has name 'another' instead of 'image'",
        relabelled.image_id: f"image in {another} has tags ['planted'] instead of []"}
    assert _by_image(verdict.judge(pairs, files=True))[other_bytes.image_id] == \
        f"image in {one} has bytes in the store that do not match its os_hash_value"

    def seen() -> bool:
        found = verdict.judge_story(pairs)
        assert [sentence.partition(" sees image ")[0] for sentence in found] == ["demo", "rival", "the owner"], found
        return all(f"{other_bytes.image_id} (active, community" in sentence and one in sentence for sentence in found)

    eventually(seen, what="owner, stranger and the reader of the database see other bytes")
    assert not any(untouched.image_id in sentence for sentence in verdict.judge(pairs, files=True))


@pytest.mark.lab
def test_what_the_api_says_is_held_against_what_is(settled: tuple[History, list[Entry]], lab: Lab) -> None:
    history, (entry, *_) = settled
    verdict, pairs = history.verdict(), history.verdict().own_pairs()
    eventually(lambda: history.watcher.looks >= 20 and history.watcher.reads >= 20, what="users have seen the replicas")
    assert not verdict.judge(pairs, files=True) + verdict.judge_story(pairs)

    waiting = [replace(pair, state="waiting") if pair.image_id == entry.image_id else pair for pair in pairs]
    assert len(verdict.judge(waiting, files=False)) == len(lab.cascaded_regions)
    # A replica that users saw has another id now, and nobody deleted it in its region.
    changed = [replace(pair, replica_id="new") if pair.image_id == entry.image_id else pair for pair in pairs]
    assert [sentence for sentence in verdict.judge_story(changed) if "went without a reason" in sentence
            and entry.image_id in sentence] == verdict.judge_story(changed) != []
    entry.deletion = "done"
    assert not verdict.judge_story(changed)


@pytest.mark.lab
def test_a_file_that_belongs_to_nothing_is_found(lab: Lab, images: ImagesOf) -> None:
    region = lab.cascaded_regions[0]
    orphan = lab.glances[region].store_path / "planted"
    orphan.write_bytes(WRONG)
    try:
        assert Remains(lab, killed=()).collect_orphans() == (0, [f"{orphan} belongs to no image of {region}"])
        # It is excused, and removed, where its Glance was killed: no Glance removes what a dead one left.
        assert Remains(lab, killed=[region]).collect_orphans() == (1, [])
        assert not orphan.exists()
    finally:
        orphan.unlink(missing_ok=True)


class Tiny(Service):
    """A service that does what the script says."""

    def __init__(self, directory: Path, script: str) -> None:
        super().__init__(name="tiny", directory=directory)
        self._script = script

    @property
    def url(self) -> str:
        return "http://127.0.0.1:1"

    def files(self) -> Mapping[Path, str]:
        return {}

    def prepare(self) -> None:
        """Nothing."""

    def arguments(self) -> Sequence[str]:
        return [sys.executable, "-c", self._script]

    def environment(self) -> Mapping[str, str]:
        return {}

    def is_ready(self) -> bool:
        return "ready" in self.log_path.read_text("utf-8")


_CRASH = "os.kill(os.getpid(), signal.SIGSEGV)"
_WAIT = "print('ready', flush=True); signal.pause()"


@pytest.mark.parametrize(("script", "act", "told"), [
    ("import sys; print('ready', flush=True); sys.exit(3)", "wait", "tiny ended by itself with exit status 3"),
    (f"import os, signal; print('ready', flush=True); {_CRASH}", "wait", "tiny ended by itself with exit status -11"),
    (f"import os, signal; signal.signal(signal.SIGTERM, lambda *_: {_CRASH}); {_WAIT}", "restart",
     "tiny answered SIGTERM with exit status -11"),
    (f"import sys, signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(1)); {_WAIT}", "restart",
     "tiny answered SIGTERM with exit status 1"),
    (f"import signal; print('[ERROR] Worker (pid:7) was sent SIGSEGV!'); {_WAIT}", "look",
     "tiny had 1 workers that crashed"),
    (f"import sys, signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); {_WAIT}", "restart", None),
    (f"import signal; {_WAIT}", "kill", None),
    (f"import signal; {_WAIT}", "look", None),
], ids=["ends", "crashes", "crashes on SIGTERM", "fails on SIGTERM", "worker crashes", "is restarted", "is killed",
        "lives"])
def test_a_service_that_dies_by_itself_is_found(tmp_path: Path, script: str, act: str, told: str | None) -> None:
    service = Tiny(tmp_path / "tiny", script)
    service.start()
    try:
        eventually(service.is_ready, what="the service runs")
        # Of a lab the faults need its services alone.
        faults = Faults(cast(Lab, SimpleNamespace(services=[service])), Journal(tmp_path / "history.log"))
        if act == "wait":
            eventually(lambda: not service.is_alive, what="the service ended")
        elif act == "restart":
            faults.restart(service)
        elif act == "kill":
            faults.kill(service, 0)
        faults.notice_deaths()
        faults.notice_deaths()  # each is told once
        assert faults.deaths == ([f"{told}; see {service.log_path}"] if told else [])
    finally:
        service.kill(signal.SIGKILL)


def _by_image(sentences: list[str]) -> dict[str, str]:
    """By image id; the oracle names each as `image ID (NAME) ...`."""
    assert all(sentence.startswith("image ") for sentence in sentences), sentences
    return {words[1]: f"image {words[3]}" for words in (sentence.split(" ", 3) for sentence in sentences)}
