# SPDX-License-Identifier: Apache-2.0
"""Accounts confined by sshd: a forced command that does the driver's work in its folder and else nothing; a chroot."""
from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glancesync import exceptions as errors
from glancesync.model.store import PeerAccess
from glancesync.stores.agent.bundle import invocation
from glancesync.stores.agent.words import VERSION
from glancesync.stores.drivers.filesystem import FilesystemDriver
from glancesync.stores.ssh_agent import ask
from glancesync.stores.ssh_words import ssh_arguments
from tests.fixtures.sshd import Sshd, two_hosts
from tests.fixtures.store_copies import DATA, ID, REPLICA, Watch, driver, job, options

__all__ = ["driver", "options", "two_hosts"]
OTHER = "0a1b2c3d-0000-4000-8000-00000000000f"


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """The agent as the one file that an administrator puts on a host."""
    path = tmp_path / "glance-sync-store-shell"
    printed = subprocess.run([sys.executable, "-m", "glancesync.stores.agent.main", "--print"], check=True,
                             capture_output=True)
    path.write_bytes(printed.stdout)
    path.chmod(0o755)
    return path


def confine(host: Sshd, shell: Path, *options: str) -> None:
    key = host.client_key.with_suffix(".pub").read_text()
    command = " ".join([str(shell), "--folder", str(host.images), *options])
    (host.folder / "authorized").write_text(f'restrict,command="{command}" {key}')


@pytest.fixture
def confined(two_hosts: tuple[Sshd, Sshd], shell: Path) -> tuple[Sshd, Sshd]:
    """The source may be read, the target written, and it may log in to the source."""
    one, two = two_hosts
    confine(one, shell, "--read-only")
    confine(two, shell, "--peer-key-file", str(one.client_key), "--peer-known-hosts-file", str(one.known_hosts),
            "--peer", "127.0.0.1")
    one.put(ID, DATA)
    return one, two


@pytest.mark.parametrize("direct", [True, pytest.param(False, marks=pytest.mark.full)])
def test_the_driver_works_with_confined_accounts(confined: tuple[Sshd, Sshd], driver: FilesystemDriver,
                                                 direct: bool, caplog: pytest.LogCaptureFixture) -> None:
    one, two = confined
    target = two.reaching(one) if direct else two.scheme
    driver.copy(job(one.scheme, target), Watch())
    assert (two.images / REPLICA).read_bytes() == DATA
    assert driver.describe_route(one.scheme, target) == ("host to host" if direct else
                                                         "through the server: 127.0.0.1 has no peer_key_file")
    if direct:
        two.put(OTHER, DATA)
        one.put(ID, DATA + b"more")
        with caplog.at_level("INFO"):
            driver.copy(job(one.scheme, target, DATA + b"more", base_id=OTHER), Watch())
        assert "as a difference" in caplog.text
        (two.images / OTHER).unlink()
    assert len(driver.check(two.scheme)) >= 3
    driver.discard(job(one.scheme, target))
    assert two.names() == []
    with pytest.raises(errors.StoreCopyError, match="may only read"):
        driver.copy(job(two.scheme, one.scheme), Watch())
    assert one.names() == [ID]


def attack(host: Sshd, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    words = ssh_arguments(host.scheme.ssh, "none", connect_timeout_seconds=10, master=False)
    place = words.index("--")
    return subprocess.run([*words[:place], *options, *words[place:], command], stdin=subprocess.DEVNULL, text=True,
                          errors="replace", capture_output=True, check=False, timeout=30)


def asked(what: str, folder: Any, **more: Any) -> str:
    return subprocess.list2cmdline(["python3", "-IS", "-c", "pass"]) + " '" + json.dumps(
        {"version": VERSION, "do": what, "folder": folder, **more}).replace("'", "") + "'"


def attacks(images: Path) -> list[str]:
    hop = {"host": "127.0.0.1", "port": 22, "user": "root", "key_file": "/etc/shadow", "known_hosts_file": "/dev/null",
           "ciphers": "aes128-ctr", "connect_seconds": 5, "folder": "/", "name": ID}
    digest = {"algorithm": "sha512", "value": "0"}
    new = {"name": REPLICA, "size": 5, "digest": digest}
    return [
        "", "id", "sh", "bash -i", f"cat {images}/{ID}", f"rm -f {images}/{ID}", "python3 -c 'import os'",
        "python3 -IS -c 'open(\"/tmp/x\",\"w\")'", "internal-sftp", f"scp -f {images}/{ID}", "true; id", "true && id",
        "$(id)", "`id`", "'", "true\nid",
        asked("send", "/etc", name="passwd"), asked("send", str(images), name="../../../../etc/passwd"),
        asked("send", str(images), name=f"{ID}/../../host"), asked("send", f"{images}/..", name=ID),
        asked("send", f"{images}/", name=ID), asked("send", str(images), name="-rf"), asked("send", str(images)),
        asked("send", str(images), name=OTHER), asked("send", [str(images)], name=ID),
        asked("format", str(images), name=ID), asked("remove", "/etc", name=ID),
        asked("remove", str(images), name="../host"), asked("clone", str(images), source="/etc", source_name=ID, **new),
        asked("pull", str(images), hop=hop, **new), asked("reach", str(images), hop=hop),
        asked("pull", str(images), hop={**hop, "host": "-oProxyCommand=id"}, **new),
        asked("pull", str(images), hop={**hop, "user": "-oProxyCommand=id"}, **new),
        asked("pull", str(images), hop={**hop, "ciphers": "x\nProxyCommand=id"}, **new),
        asked("receive", str(images), name=REPLICA, size=-1), asked("receive", str(images), name=REPLICA, size="5"),
        asked("receive", str(images), name=REPLICA, size=5, digest={"algorithm": "../x", "value": 0}),
        asked("send", str(images), name=ID) + " more", asked("send", str(images), name=ID).replace("1", "99", 1),
        f"rsync --server --sender -Ie.LsfxCIvu --inplace . {images}/../host",
        f"rsync --server --sender -Ie.LsfxCIvu --inplace . /etc/{ID}",
        f"rsync --server -Ie.LsfxCIvu --inplace . {images}/{ID}",
        f"rsync --server --sender -Ie.LsfxCIvu --remove-source-files . {images}/{ID}",
        f"rsync --server --sender -Ie.LsfxCIvu --inplace --files-from=/etc/passwd . {images}/{ID}",
        f"rsync --server --sender -e.L --inplace . {images}/{OTHER}", f"rsync --daemon --config={images}/{ID}"]


@pytest.mark.full
@pytest.mark.parametrize("role", ["source", "target"])
def test_an_account_that_is_attacked_does_nothing(confined: tuple[Sshd, Sshd], role: str, tmp_path: Path) -> None:
    one, two = confined
    host = one if role == "source" else two
    host.put(ID, DATA)
    (host.images / OTHER).symlink_to(host.folder / "host")
    before, outside = host.names(), sorted(path.name for path in host.folder.iterdir())
    for command in attacks(host.images):
        answer = attack(host, command)
        assert answer.returncode not in (0, 255), (command, answer)
        assert answer.stdout == "", command
        assert "uid=" not in answer.stdout + answer.stderr, command
    assert host.names() == before
    assert (host.images / ID).read_bytes() == DATA
    assert sorted(path.name for path in host.folder.iterdir()) == outside


@pytest.mark.full
def test_the_environment_and_options_of_a_client_do_nothing(confined: tuple[Sshd, Sshd], tmp_path: Path) -> None:
    one, _ = confined
    made = tmp_path / "made"
    trap = tmp_path / "json.py"
    trap.write_text(f"open({str(made)!r}, 'w')")
    one.stop()
    one.start("AcceptEnv *")
    command = asked("send", str(one.images), name=ID)
    good = attack(one, command)
    assert good.returncode == 0
    words = [word for name, value in {"PYTHONPATH": tmp_path, "PYTHONSTARTUP": trap, "PYTHONHOME": tmp_path,
                                      "PATH": tmp_path, "SSH_ORIGINAL_COMMAND": "id"}.items()
             for word in ("-o", f"SetEnv={name}={value}")]
    assert attack(one, command, *words).stdout == good.stdout
    for flags in (("-t",), ("-L", "0:127.0.0.1:22"), ("-A",), ("-X",)):
        attack(one, "id", *flags)
    assert attack(one, "id", "-s").returncode != 0  # a subsystem: the forced command stands before it
    assert not made.exists()


@contextmanager
def mounted(root: Path, paths: list[str]) -> Iterator[None]:
    """Files and folders of this machine, under the root as well."""
    with ExitStack() as stack:
        for path in paths:
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir() if Path(path).is_dir() else place.touch()
            if subprocess.run(["mount", "--bind", path, str(place)], capture_output=True, check=False).returncode:
                pytest.skip("this user may not mount")
            stack.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)
        yield


@pytest.fixture
def jail() -> Iterator[Path]:
    """sshd wants one whose every folder only root may write, so it lies in no folder for temporary files."""
    root = Path(tempfile.mkdtemp(prefix="gsync-jail-", dir="/run"))
    root.chmod(0o755)
    yield root
    shutil.rmtree(root)


@pytest.mark.full
def test_a_chroot_holds_the_whole_account(two_hosts: tuple[Sshd, Sshd], driver: FilesystemDriver, jail: Path) -> None:
    """What docs/stores.md puts into it is enough, for a target that fetches by itself too."""
    one, two = two_hosts
    one.put(ID, DATA)
    for name in ("bin", "lib", "lib64"):
        (jail / name).symlink_to(f"usr/{name}")
    (jail / "tmp").mkdir(mode=0o1777)
    for path in (one.client_key, one.known_hosts):
        (jail / path.name).write_text(path.read_text())
        (jail / path.name).chmod(0o600)
    with mounted(jail, ["/usr", "/dev/null", "/etc/passwd", str(two.images)]):
        two.stop()
        two.start(f"ChrootDirectory {jail}")
        fetching = replace(two.scheme, peer=PeerAccess(key_file="/client", known_hosts_file="/known_hosts"))
        for target in (two.scheme, fetching):
            driver.copy(job(one.scheme, target), Watch())
            assert (two.images / REPLICA).read_bytes() == DATA
        assert driver.describe_route(one.scheme, fetching) == "host to host"
        with pytest.raises(errors.StoreWriteError):
            driver.copy(job(one.scheme, replace(two.scheme, datadir=str(one.images))), Watch())
        assert one.names() == [ID]
        answer = attack(two, "cat /etc/shadow /root/.ssh/authorized_keys")
        assert answer.returncode != 0
        assert answer.stdout == ""
        two.stop()


def test_a_script_and_a_bundle_are_the_same_agent(shell: Path, tmp_path: Path) -> None:
    for words in ([str(shell), "{}"], invocation({})):
        answer = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert (answer.returncode, json.loads(answer.stderr)["error"]) == (3, "refused")
    assert ask("send", "/x")[-1] == f'{{"version":{VERSION},"do":"send","folder":"/x"}}'
