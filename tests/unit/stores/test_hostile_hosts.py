# SPDX-License-Identifier: Apache-2.0
"""What a host of a store says is a stranger's text: whatever it is, the copy fails with an error of its own kind, and
the next way is taken."""
from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from glancesync.clock import SystemClock
from glancesync.exceptions import StoreCopyError, TaskCancelledError
from glancesync.model.image import Digest
from glancesync.model.store import FilesystemScheme, SshAccess
from glancesync.stores import ssh
from glancesync.stores.agent.files import Part
from glancesync.stores.agent.hop import told_failure
from glancesync.stores.agent.words import Failure, read_request
from glancesync.stores.driver import StoreCopy
from glancesync.stores.drivers.filesystem import FilesystemDriver
from glancesync.stores.loading import DriverOptions
from glancesync.stores.ssh import Finished, SshConnections
from glancesync.stores.ssh_agent import error_of, read_report

ID = "0a1b2c3d-0000-4000-8000-00000000000a"
DEEP = "[" * 60_000
JSON = some.recursive(some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
                      lambda each: some.lists(each) | some.dictionaries(some.text(), each), max_leaves=5)
WORDS = some.dictionaries(some.sampled_from(["bytes", "step", "done", "free", "trial", "seconds", "rsync", "whole",
                                             "sent", "error", "told", "status"]), JSON)
LINES = some.one_of(WORDS.map(json.dumps), some.text(), some.just(DEEP), some.just('{"bytes": 1' + "0" * 5000 + "}"))


class Host:
    """Says these lines, and ends so."""

    def __init__(self, lines: list[str], errors: str = "", status: int = 0) -> None:
        self.lines, self.errors, self.status = lines, errors, status
        self.timeouts: list[float] = []

    def pipe(self, commands, *, timeout_seconds, watch, listen, leash=False):
        self.timeouts.append(timeout_seconds)
        watch()
        for line in self.lines:
            listen(line)
        return [Finished(status=self.status, output="", errors=self.errors) for _ in commands]


class Reports:
    def __init__(self) -> None:
        self.steps, self.bytes = set(), []

    def check(self) -> None:
        """Goes on."""

    def report(self, step=None, bytes_done=None, bytes_total=None) -> None:
        self.steps.add(step)
        self.bytes += [] if bytes_done is None else [bytes_done]


def driver_to(host: Host) -> FilesystemDriver:
    made = FilesystemDriver(DriverOptions(clock=SystemClock(), copy_timeout_seconds=lambda: 3600.0,
                                          shell_tries=lambda: 1))
    made._ssh = host
    return made


def scheme(host: str) -> FilesystemScheme:
    return FilesystemScheme(datadir="/images", ssh=SshAccess(host=host, user="u"))


@settings(max_examples=300, deadline=None)
@given(lines=some.lists(LINES, max_size=4), errors=LINES, status=some.integers(0, 255))
def test_whatever_a_host_says(lines, errors, status) -> None:
    host, reports, verified = Host(lines, errors, status), Reports(), Reports()
    copy = StoreCopy(image_id=ID, replica_id=ID, size=1000, source=scheme("a"), target=scheme("b"),
                     digest=Digest(algorithm="sha512", value="0"))
    driver = driver_to(host)
    for act in (lambda: driver.copy(copy, reports), lambda: driver.verify(copy, verified),
                lambda: driver.discard(copy), lambda: driver.find_free_bytes(scheme("b"))):
        try:
            found = act()
        except StoreCopyError:
            continue
        assert status == 0
        assert found is None or isinstance(found, str) or 0 <= found < 2 ** 63
    for each in (reports, verified):
        assert each.steps <= {None, "copying", "verifying"}
        assert all(0 <= count <= 1000 for count in each.bytes)
        assert each.bytes == sorted(each.bytes)


@settings(max_examples=200, deadline=None)
@given(LINES, some.integers(1, 255))
def test_whatever_it_fails_with(line, status) -> None:
    assert isinstance(error_of(status, line, what="x"), StoreCopyError)
    assert isinstance(told_failure(line, status), Failure)
    with pytest.raises(Failure):
        read_request(line)


def test_a_request_that_moves_no_image_does_not_last_as_long_as_a_copy() -> None:
    host = Host(['{"done": true, "free": 5}'])
    driver = driver_to(host)
    assert driver.find_free_bytes(scheme("b")) == 5
    assert host.timeouts == [60.0]


def test_one_account_is_one_host_however_it_is_logged_in_to() -> None:
    driver = driver_to(Host([]))
    one = FilesystemScheme(datadir="/one", ssh=SshAccess(host="a", user="u", key_file="/k1"))
    two = replace(one, datadir="/two", ssh=replace(one.ssh, key_file="/k2", cipher="aes128-ctr"))
    assert driver.describe_route(one, two) == "within one host"
    assert driver.find_obstacle(one, replace(two, datadir="/one")) is not None
    for other in ({"jump_host": "bastion"}, {"host": "b"}, {"port": 23}, {"user": "v"}):
        assert driver.describe_route(one, replace(two, ssh=replace(two.ssh, **other))) != "within one host"
    behind = replace(one, ssh=replace(one.ssh, jump_host="bastion"))  # the same address, and another machine
    assert driver.find_obstacle(one, behind) is None


def test_an_agent_of_another_kind_tells_nothing() -> None:
    with pytest.raises(StoreCopyError, match="does not tell of free"):
        driver_to(Host(['{"done": true}'])).find_free_bytes(scheme("b"))
    assert read_report('{"done": 1, "bytes": true, "step": ["x"], "free": -1}') == {}


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> SshConnections:
    """Commands run here instead of on a host."""
    made = SshConnections(SystemClock(), tries=lambda: 1)
    monkeypatch.setattr(made, "_ensure_open", lambda access: None)
    monkeypatch.setattr(made, "_arguments", lambda access, master: [])
    monkeypatch.setattr(ssh, "remote_command", lambda words: words[0])
    return made


def test_errors_without_an_end_do_not_fill_the_disk(local: SshConnections, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    flood = tmp_path / "flood"
    flood.write_text(f"#!{sys.executable}\nimport os\nwhile True: os.write(2, b'x' * 65536)\n")
    flood.chmod(0o755)
    monkeypatch.setattr(ssh, "_MOST_ERRORS", 1 << 20)
    with pytest.raises(StoreCopyError, match="bytes of errors"):
        local.pipe([(scheme("a").ssh, [str(flood)])], timeout_seconds=30)


def test_nothing_begins_for_a_run_that_ended_while_it_was_logged_in(local: SshConnections, tmp_path: Path) -> None:
    def ended() -> None:
        raise TaskCancelledError("meanwhile")

    trace = tmp_path / "trace"
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable}\nopen({str(trace)!r}, 'w')\n")
    program.chmod(0o755)
    with pytest.raises(TaskCancelledError):
        local.pipe([(scheme("a").ssh, [str(program)])], timeout_seconds=30, watch=ended)
    assert not trace.exists()


def test_a_signal_between_two_names_ends_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its handler runs in the thread that hands over, which may be holding the part's lock at that moment."""
    part = Part(str(tmp_path / ID))
    part.make()
    take = part._take_name

    def signalled() -> None:
        take()
        part.abandon()

    monkeypatch.setattr(part, "_take_name", signalled)
    thread = threading.Thread(target=part.hand_over, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert list(tmp_path.iterdir()) == []
