# SPDX-License-Identifier: Apache-2.0
"""The main job once with everything at debug level, then a search for the secrets that were really in use: every
password of the lab, every token that Keystone gave out or was shown, and the signature of a signed URL."""
from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from keystoneauth1.session import Session

from glancesync.lab.cloud import Lab
from glancesync.lab.glance import Glance
from glancesync.lab.server import SyncServer
from glancesync.lab.service import Service
from tests.fixtures.images import ImagesOf
from tests.fixtures.keystone_listener import KeystoneListener
from tests.fixtures.main_job import MainJob

pytestmark = pytest.mark.lab

SIGNATURE = "Signature-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"
#: Libraries that log their own requests, statements and rows when they are let.
LOUD = ",".join(f"{name}=DEBUG" for name in (
    "keystoneauth", "keystoneauth.identity", "keystoneauth.session", "keystonemiddleware", "glanceclient", "urllib3",
    "requests", "sqlalchemy", "sqlalchemy.engine", "oslo_policy", "oslo_db", "stevedore", "routes.middleware"))


@pytest.fixture
def keystone(lab: Lab) -> Iterator[KeystoneListener]:
    listener = KeystoneListener(lab.keystone_url)
    listener.start()
    yield listener
    listener.stop()


@contextmanager
def _talkative(glance: Glance, keystone: KeystoneListener) -> Iterator[None]:
    """The Glance at debug level, with its accounts logging in past the listener."""
    conf = glance.directory / "glance-api.conf"
    text = conf.read_text("utf-8")
    changed = re.sub(r"(?m)^auth_url = .*", f"auth_url = {keystone.url}", text)
    changed = changed.replace("[DEFAULT]\n", f"[DEFAULT]\ndebug = true\ndefault_log_levels = {LOUD}\n")
    assert changed.count(keystone.url) >= 2
    glance.stop()
    conf.write_text(changed, "utf-8")
    glance.start()
    glance.wait_ready()
    try:
        yield
    finally:
        glance.stop()
        conf.write_text(text, "utf-8")
        glance.start()
        glance.wait_ready()


@pytest.fixture
def loud(lab: Lab, keystone: KeystoneListener, start_server: Callable[..., SyncServer]) -> Iterator[SyncServer]:
    accounts = {"auth_url": keystone.url}
    with _talkative(lab.glances[lab.cascading_region], keystone):
        yield start_server({"DEFAULT": {"debug": True, "default_log_levels": LOUD}, "keystone": accounts,
                            "keystone_authtoken": accounts})


def test_no_secret_is_anywhere_after_a_whole_job_at_debug_level(  # noqa: PLR0917
        loud: SyncServer, lab: Lab, keystone: KeystoneListener, job: MainJob, images: ImagesOf,
        web_files: tuple[Path, str], session_of: Callable[[str], Session]) -> None:
    glance = lab.glances[lab.cascading_region]
    glance_begins = glance.log_path.stat().st_size
    loud.stop()
    told = _users_at_work(images, web_files)
    outbox = _read_all(glance.outbox_path)
    assert told[0].encode() in outbox, "the outbox was to hold what the server did not hear yet"
    loud.start()
    loud.wait_ready()
    for image_id in told:
        job.wait_for(image_id)
    images("demo").delete(told[0])
    job.wait_for(told[0], "deleted")
    errors = _errors(loud, session_of)

    tokens = keystone.tokens | {str(session_of(user).get_token()) for user in ("admin", "demo", "rival")}
    assert {"glance-sync", "glance-sync-events", "glance"} <= keystone.users
    assert len(tokens) >= 5
    secrets = {secret.encode() for secret in (*lab.state.passwords.values(), *tokens, SIGNATURE)}
    places = {
        "the server's log": loud.log_path.read_bytes(),
        "the server's database": b"".join(path.read_bytes() for path in loud.directory.glob("glance-sync.db*")),
        "the outbox": outbox + _read_all(glance.outbox_path),
        "what the API says": errors,
        "the processes": b"".join(_processes(service) for service in (loud, glance)),
        "what the commands say": _commands(loud, told[1]),
        "Glance's log": _without_signature(glance.log_path.read_bytes()[glance_begins:]),
    }
    assert b"DEBUG keystoneauth" in places["the server's log"]
    for place, content in places.items():
        assert content, place
        found = [secret[:6] for secret in secrets if secret in content]
        assert not found, f"{place}: {_context(content, secrets)}"


def test_what_holds_secrets_is_its_owners_alone(loud: SyncServer, lab: Lab) -> None:
    glance = lab.glances[lab.cascading_region]
    paths = [*loud.directory.glob("glance-sync.db*"), *glance.outbox_path.rglob("*"), glance.outbox_path]
    assert len(paths) >= 3
    for path in paths:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def _users_at_work(images: ImagesOf, web_files: tuple[Path, str]) -> list[str]:
    """Ids of an image that was uploaded, and of one that Glance fetched from a signed URL."""
    ours = images("demo")
    uploaded = ours.create("secret-search", b"x" * 100_000, visibility="shared", note="100 %s")["id"]
    folder, url = web_files
    (folder / "disk.img").write_bytes(b"y" * 50_000)
    fetched = ours.create("signed")["id"]
    ours.start_import(fetched, "web-download", uri=f"{url}/disk.img?X-Amz-Signature={SIGNATURE}")
    ours.wait_status(fetched)
    return [uploaded, fetched]


def _errors(server: SyncServer, session_of: Callable[[str], Session]) -> bytes:
    """What the API answers to callers with and without good tokens, good requests and bad."""
    found = b""
    for caller in ("admin", "demo", "rival", None):
        token = {"X-Auth-Token": str(session_of(caller).get_token()) if caller else "gAAAA" + "x" * 99}
        for method, path in (("GET", "/v1/images"), ("GET", "/v1/images/none"), ("POST", "/v1/events"),
                             ("GET", "/v1/regions"), ("PUT", "/v1/regions"), ("GET", "/v1/tasks?limit=x"),
                             ("POST", "/v1/sync"), ("GET", "/v1/deletions"), ("GET", "/nowhere")):
            answer = requests.request(method, server.url + path, headers=token, data=b"{", timeout=30)
            found += answer.content + str(dict(answer.headers)).encode()
    return found


def _read_all(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def _processes(service: Service) -> bytes:
    """Command lines and environments of the service's whole process group."""
    found = b""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _group(entry.name) == service.pid:
            found += (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
    return found


def _group(pid: str) -> int | None:
    try:
        return os.getpgid(int(pid))
    except ProcessLookupError:
        return None


def _commands(server: SyncServer, image_id: str) -> bytes:
    found = b""
    for arguments in (["image", "show", image_id], ["deletion", "status"], ["reconcile", "--dry-run"]):
        command: list[Any] = [sys.executable, "-m", "glancesync.cmd.manage", "--config-file", server.conf_path]
        answer = subprocess.run([*command, *arguments], capture_output=True, timeout=60, check=False)
        found += answer.stdout + answer.stderr
    return found


def _without_signature(log: bytes) -> bytes:
    """Glance itself logs the URL of an import; what comes from our code in it may not."""
    return b"\n".join(line for line in log.splitlines() if SIGNATURE.encode() not in line or b"glancesync" in line)


def _context(content: bytes, secrets: set[bytes]) -> list[bytes]:
    """Where it was found, for whoever has to mend it; the secret itself left out."""
    shown = []
    for secret in secrets:
        for found in re.finditer(re.escape(secret), content):
            shown.append(content[max(0, found.start() - 200):found.start()])
    return shown[:3]


