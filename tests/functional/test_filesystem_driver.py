# SPDX-License-Identifier: Apache-2.0
"""The filesystem driver between real sshd processes: what it copies, and what each fault becomes."""
from __future__ import annotations

import os
import re
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glancesync import exceptions as errors
from glancesync.model.store import FilesystemScheme, PeerAccess
from glancesync.stores.driver import StoreCopy
from glancesync.stores.drivers.filesystem import FilesystemDriver
from tests.fixtures.polling import eventually
from tests.fixtures.small_disk import mounted
from tests.fixtures.sshd import Sshd, account, running, two_hosts
from tests.fixtures.store_copies import DATA, ID, REPLICA, Watch, driver, job, options

__all__ = ["account", "driver", "options", "two_hosts"]

BIG = 200 * len(DATA)


def test_bytes_owner_mode_and_the_shared_connection(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver) -> None:
    one, two = two_hosts
    one.put(ID, DATA)
    os.chown(two.images, 12345, 12346)
    url = driver.copy(job(one.scheme, two.scheme), Watch())
    assert url == f"file://{two.images}/{REPLICA}"
    path = two.images / REPLICA
    found = path.stat()
    assert path.read_bytes() == DATA
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777, found.st_nlink) == (12345, 12346, 0o640, 1)
    assert two.names() == [REPLICA]
    driver.copy(job(one.scheme, two.scheme), Watch())  # again, over what lies there
    assert two.log.read_text().count("Accepted publickey") == 1
    driver.discard(job(one.scheme, two.scheme))
    assert two.names() == []
    assert one.names() == [ID]


def test_host_to_host(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver) -> None:
    one, two = two_hosts
    one.put(ID, DATA)
    target = two.reaching(one)
    assert driver.check_route(one.scheme, target) == driver.describe_route(one.scheme, target) == "host to host"
    driver.copy(job(one.scheme, target), Watch())
    assert (two.images / REPLICA).read_bytes() == DATA
    assert two.names() == [REPLICA]
    assert driver.describe_route(one.scheme, two.scheme) == "through the server: 127.0.0.1 has no peer_key_file"


@pytest.mark.full
@pytest.mark.parametrize(("fault", "code"), [
    ("key", "store_login_refused"), ("host key", "store_host_key"), ("port", "store_unreachable"),
    ("known hosts", "store_host_key")])
def test_hosts_that_do_not_reach_one_another(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver, tmp_path: Path,
                                             fault: str, code: str) -> None:
    one, two = two_hosts
    one.put(ID, DATA)
    changes: dict[str, Any] = {"key": {"key_file": str(two.client_key)}, "port": {},
                               "host key": {"known_hosts_file": str(tmp_path / "other")},
                               "known hosts": {"known_hosts_file": "/does/not/exist"}}[fault]
    (tmp_path / "other").write_text(one.known_hosts.read_text().split()[0] + " "
                                    + " ".join((two.folder / "host.pub").read_text().split()[:2]) + "\n")
    target = replace(two.reaching(one), peer=replace(two.reaching(one).peer, **changes))
    source = replace(one.scheme, peer=PeerAccess(port=1)) if fault == "port" else one.scheme
    driver.copy(job(source, target), Watch())
    assert (two.images / REPLICA).read_bytes() == DATA
    told = driver.describe_route(source, target) or ""
    assert told.startswith("through the server: 127.0.0.1 does not reach 127.0.0.1 (")
    assert code in told
    assert driver.check_route(source, target) == told
    one.put(ID, DATA[:-1])
    with pytest.raises(errors.StoreShortCopyError):  # what is wrong with the file is no reason to try another route
        driver.copy(job(one.scheme, two.reaching(one)), Watch())


@pytest.mark.full
def test_on_one_host_it_is_a_copy_and_no_link(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver) -> None:
    one, _ = two_hosts
    (one.folder / "second").mkdir()
    one.put(ID, DATA)
    target = replace(one.scheme, datadir=str(one.folder / "second"))
    assert driver.find_obstacle(one.scheme, target) is None
    assert "a file would belong to two Glances" in str(driver.find_obstacle(one.scheme, one.scheme))
    driver.copy(job(one.scheme, target), Watch())
    path = one.folder / "second" / REPLICA
    assert (path.read_bytes(), path.stat().st_nlink) == (DATA, 1)
    assert not path.samefile(one.images / ID)
    with pytest.raises(errors.StoreSourceMissingError):
        driver.copy(job(one.scheme, target, image_id=REPLICA), Watch())


def test_another_user_by_password_never_seen(two_hosts: tuple[Sshd, Sshd], account: tuple[str, str, Path],
                                             driver: FilesystemDriver, caplog: pytest.LogCaptureFixture) -> None:
    one, _ = two_hosts
    user, password, folder = account
    one.put(ID, DATA)
    seen: set[str] = set()
    end = threading.Event()

    def look() -> None:
        while not end.is_set():
            seen.update(_command_lines())

    watcher = threading.Thread(target=look)
    with running(folder / "host", user) as two:
        shutil.chown(two.images, user, user)
        watcher.start()
        try:
            driver.copy(job(one.scheme, two.with_password(password)), Watch())
            driver.close()  # what is open stays usable
            with pytest.raises(errors.StoreLoginError) as caught:
                driver.copy(job(one.scheme, two.with_password("wrong-" + password)), Watch())
        finally:
            end.set()
            watcher.join()
        assert (two.images / REPLICA).read_bytes() == DATA
        assert (two.images / REPLICA).owner() == user
        assert "Accepted password" in two.log.read_text()
    assert any("ControlMaster" in line for line in seen)
    assert password not in "".join(seen) + caplog.text + str(caught.value)


def _command_lines() -> set[str]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.add(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue
    return found


@pytest.mark.full
def test_a_refused_key(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver) -> None:
    one, two = two_hosts
    one.put(ID, DATA)
    (two.folder / "authorized").write_text("")
    with pytest.raises(errors.StoreLoginError):
        driver.copy(job(one.scheme, two.scheme), Watch())
    assert two.names() == []


@pytest.mark.full
@pytest.mark.parametrize("known", ["another", "none"])
def test_a_host_key_that_is_not_the_known_one(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver,
                                              known: str) -> None:
    one, two = two_hosts
    one.put(ID, DATA)
    two.stop()
    two.change_host_key()
    if known == "none":
        two.known_hosts.write_text("")
    two.start()
    with pytest.raises(errors.StoreHostKeyError):
        driver.copy(job(one.scheme, two.scheme), Watch())
    assert "Accepted" not in two.log.read_text()
    two.trust()
    driver.copy(job(one.scheme, two.scheme), Watch())


@pytest.mark.full
def test_a_host_that_is_away_is_called_so_often(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver,
                                                options: dict[str, Any]) -> None:
    one, two = two_hosts
    one.put(ID, DATA)
    two.stop()
    with pytest.raises(errors.StoreUnreachableError):
        driver.copy(job(one.scheme, two.scheme), Watch())
    options["tries"] = 10
    threading.Timer(1.5, two.start).start()
    driver.copy(job(one.scheme, two.scheme), Watch())
    assert two.names() == [REPLICA]


@pytest.mark.full
def test_a_source_that_is_missing(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver, direct: bool) -> None:
    one, two = two_hosts
    with pytest.raises(errors.StoreSourceMissingError):
        driver.copy(job(one.scheme, two.reaching(one) if direct else two.scheme), Watch())
    assert two.names() == []


@pytest.mark.full
@pytest.mark.parametrize(("data", "kind"), [
    (DATA[:-1], errors.StoreShortCopyError), (DATA + b"x", errors.StoreShortCopyError),
    (DATA[:1000] + bytes([DATA[1000] ^ 1]) + DATA[1001:], errors.StoreCorruptCopyError)])
def test_other_bytes_than_the_images(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver, data: bytes,
                                     kind: type[Exception]) -> None:
    one, two = two_hosts
    one.put(ID, data)
    with pytest.raises(kind):
        driver.copy(job(one.scheme, two.scheme), Watch())
    assert two.names() == []


@pytest.mark.full
def test_a_full_disk(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver) -> None:
    one, two = two_hosts
    one.put(ID, DATA)
    with mounted(two.images, 1024):
        with pytest.raises(errors.StoreFullError):
            driver.copy(job(one.scheme, two.scheme), Watch())
        assert two.names() == []


@pytest.mark.full
def test_a_folder_that_may_not_be_written(two_hosts: tuple[Sshd, Sshd], account: tuple[str, str, Path],
                                          driver: FilesystemDriver) -> None:
    one, _ = two_hosts
    user, password, folder = account
    one.put(ID, DATA)
    with running(folder / "host", user) as two:
        with pytest.raises(errors.StoreWriteError):
            driver.copy(job(one.scheme, two.with_password(password)), Watch())
        assert two.names() == []


@pytest.fixture
def big(two_hosts: tuple[Sshd, Sshd]) -> tuple[Sshd, Sshd]:
    """A file that takes a while."""
    one, two = two_hosts
    with (one.images / ID).open("wb") as file:
        for _ in range(BIG // len(DATA)):
            file.write(DATA)
    return one, two


@pytest.fixture(params=[False, True], ids=["relayed", "direct"])
def direct(request: pytest.FixtureRequest) -> bool:
    """Whether the target's host fetches from the source's, or the bytes pass through this process's ssh."""
    return bool(request.param)


def big_job(one: Sshd, two: Sshd, direct: bool = False) -> StoreCopy:
    return job(one.scheme, two.reaching(one) if direct else two.scheme, size=BIG)


def test_a_sparse_file_stays_sparse(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver) -> None:
    one, two = two_hosts
    data = bytes(8_000_000) + DATA[:300_000] + bytes(56_000_000)
    with one.put(ID, b"").open("r+b") as file:
        file.seek(8_000_000)
        file.write(DATA[:300_000])
        file.truncate(len(data))
    driver.copy(job(one.scheme, two.scheme, data), Watch())
    path = two.images / REPLICA
    assert path.read_bytes() == data
    assert path.stat().st_blocks * 512 < 2_000_000
    assert two.names() == [REPLICA]


@pytest.mark.full
@pytest.mark.parametrize("which", [0, 1])
def test_a_connection_that_is_cut_in_the_middle(big: tuple[Sshd, Sshd], driver: FilesystemDriver, which: int,
                                                direct: bool) -> None:
    part = big[1].images / f"{REPLICA}.part"

    def cut() -> None:
        eventually(lambda: part.exists() and part.stat().st_size > 0, 20, what="bytes arrive")
        big[which].cut()

    thread = threading.Thread(target=cut)
    thread.start()
    with pytest.raises(errors.StoreCutError):
        driver.copy(big_job(*big, direct), Watch())
    thread.join()
    eventually(lambda: not _copies(), 10, what="nothing runs any more")
    assert big[1].names() == []


def test_cancelled_in_the_middle_and_progress_is_true(big: tuple[Sshd, Sshd], driver: FilesystemDriver,
                                                      direct: bool) -> None:
    part = big[1].images / f"{REPLICA}.part"
    watch, found = Watch(), []

    def look() -> None:
        if len(watch.seen) > 1:
            if not found:  # it asks once more before it cleans up
                found.append((watch.seen[-1], part.stat().st_size))
            raise errors.TaskCancelledError("cancelled")

    watch.check = look
    with pytest.raises(errors.TaskCancelledError):
        driver.copy(big_job(*big, direct), watch)
    [(told, written)] = found
    assert 0 < told <= written
    eventually(lambda: not _copies(), 10, what="nothing runs any more")
    assert big[1].names() == []


@pytest.mark.full
def test_a_copy_that_takes_too_long(big: tuple[Sshd, Sshd], driver: FilesystemDriver, options: dict[str, Any]) -> None:
    options["timeout"] = 0.5
    started = time.monotonic()
    with pytest.raises(errors.StoreTimeoutError):
        driver.copy(big_job(*big), Watch())
    assert time.monotonic() - started < 10
    assert big[1].names() == []


def _copies() -> list[str]:
    return [line for line in _command_lines() if line.startswith("python3 -IS") and (ID in line or REPLICA in line)]


@pytest.mark.full
def test_hostile_names_are_inert(tmp_path: Path, driver: FilesystemDriver) -> None:
    with running(tmp_path / "one") as one:
        evil = one.folder / "a b;touch $(echo x) `id` 'q' \"d\" & \\ *"
        evil.mkdir()
        target = replace(one.scheme, datadir=str(evil))
        one.put(ID, DATA)
        driver.copy(job(one.scheme, target), Watch())
        assert [path.name for path in evil.iterdir()] == [REPLICA]
        for image_id in ("../../etc/passwd", "-rf", f"{ID}\n", f"{ID};id", "$(id)"):
            with pytest.raises(errors.StoreCopyError):
                driver.copy(job(one.scheme, target, replica_id=image_id), Watch())
        assert sorted(path.name for path in one.folder.iterdir()) == sorted(
            {evil.name, "images", "log", "client", "client.pub", "host", "host.pub", "known_hosts", "authorized",
             "sshd_config"})


@pytest.mark.full
def test_a_store_is_tried(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver) -> None:
    lines = driver.check(two_hosts[0].scheme)
    assert [line.split(":")[0] for line in lines] == ["log in", "free", "write and flush"]
    assert two_hosts[0].names() == []


@pytest.mark.full
def test_close_ends_the_shared_connections(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver) -> None:
    driver.check(two_hosts[0].scheme)
    assert two_hosts[0].serving()
    driver.close()
    eventually(lambda: not two_hosts[0].serving(), 10, what="no connection is left")


BASE = "0a1b2c3d-0000-4000-8000-00000000000d"
CHANGED = DATA[:1_000_000] + b"another version" + DATA[1_000_015:] + b"and more"


def delta_job(one: Sshd, target: FilesystemScheme, data: bytes = CHANGED) -> StoreCopy:
    one.put(ID, data)
    return job(one.scheme, target, data, base_id=BASE)


def test_only_what_a_base_lacks_is_sent(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver,
                                        caplog: pytest.LogCaptureFixture) -> None:
    one, two = two_hosts
    base = two.put(BASE, DATA)
    watch = Watch()
    with caplog.at_level("INFO"):
        driver.copy(delta_job(one, two.reaching(one)), watch)
    assert ((two.images / REPLICA).read_bytes(), base.read_bytes()) == (CHANGED, DATA)
    assert (base.stat().st_nlink, two.names()) == (1, [REPLICA, BASE])
    [sent] = re.findall(r"as a difference to .*: ([0-9]+) bytes of", caplog.text)
    assert 0 < int(sent) < 200_000
    assert watch.seen == sorted(watch.seen)
    assert (watch.seen[0], watch.seen[-1]) == (0, len(CHANGED))
    shorter = CHANGED[:-500_000]  # a base may be larger than the image
    driver.copy(delta_job(one, two.reaching(one), shorter), Watch())
    assert (two.images / REPLICA).read_bytes() == shorter
    eventually(lambda: not one.serving(), 5, what="the connection that rsync shared has ended")


@pytest.mark.full
@pytest.mark.parametrize(("fault", "why"), [
    ("no base", "its base is not here"), ("a link", "its base is not here"), ("rsync here", "this host has no rsync"),
    ("rsync there", "rsync ended with status"), ("a blank", "a path has characters")])
def test_where_there_is_no_difference_to_be_had_the_whole_is_sent(
        two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver, tmp_path: Path, fault: str, why: str,
        caplog: pytest.LogCaptureFixture) -> None:
    one, two = two_hosts
    two.put(BASE, DATA)
    if fault in ("no base", "a link"):
        (two.images / BASE).unlink()
    if fault == "a link":
        (two.images / BASE).symlink_to(one.images / ID)
    if fault.startswith("rsync"):
        programs = tmp_path / "programs"
        programs.mkdir()
        for name in ("python3", "ssh", "true"):
            (programs / name).symlink_to(f"/usr/bin/{name}")
        host = two if fault == "rsync here" else one
        host.stop()
        host.start(environment=f"PATH={programs}")
    source = one.scheme
    if fault == "a blank":
        (one.folder / "a b").mkdir()
        source = replace(source, datadir=str(one.folder / "a b"))
    wanted = replace(delta_job(one, two.reaching(one)), source=source)
    if fault == "a blank":
        (one.folder / "a b" / ID).write_bytes(CHANGED)
    with caplog.at_level("INFO"):
        driver.copy(wanted, Watch())
    assert (two.images / REPLICA).read_bytes() == CHANGED
    assert f"copied whole, not as a difference to {BASE}: {why}" in caplog.text


@pytest.mark.full
def test_a_difference_is_verified_as_any_copy(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver) -> None:
    one, two = two_hosts
    two.put(BASE, DATA)
    wanted = delta_job(one, two.reaching(one))
    one.put(ID, CHANGED[:-1] + b"!")
    with pytest.raises(errors.StoreCorruptCopyError):
        driver.copy(wanted, Watch())
    one.put(ID, CHANGED[:-1])
    with pytest.raises(errors.StoreShortCopyError):
        driver.copy(wanted, Watch())
    for hostile in ("../../etc/passwd", "-e id", f"{BASE}/../x", "$(id)"):
        one.put(ID, CHANGED)
        driver.copy(replace(wanted, base_id=hostile), Watch())
        assert (two.images / REPLICA).read_bytes() == CHANGED
    assert two.names() == [REPLICA, BASE]
