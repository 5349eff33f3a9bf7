# SPDX-License-Identifier: Apache-2.0
"""Names that steer terminals, forge log lines, turn text around or format it: copied as they are, shown inert."""
from __future__ import annotations

import json
import re
import socket
import subprocess
import sys

import pytest

from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MainJob

pytestmark = pytest.mark.lab

FORGED = "2026-01-01 00:00:00.000 1 ERROR glancesync forged by a name"
NAMES = (f"\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\u2066\n{FORGED}\r\x01\x7f",
         "%s%n%(password)s{0.__class__}<script>alert(1)</script>&lt;$(reboot) `id` ; --help ${jndi:x}", "x" * 255)
#: What no output may hold: controls but newline and tab, and what turns text around.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def test_hostile_names_and_properties_are_inert_in_every_output(job: MainJob, images: ImagesOf,
                                                                sync_server: SyncServer) -> None:
    begun = sync_server.log_path.stat().st_size
    made = [images("demo").create(name, b"x", description=name, **{f"property {name}"[:200]: name})["id"]
            for name in NAMES]
    for image_id in made:
        job.wait_for(image_id)
    job.converge()
    for region in job.regions:
        assert {images("demo", region).get(image_id)["name"] for image_id in made} == set(NAMES)

    # Something to say about each: its replica is changed in one region, and its name is in the difference.
    for image_id in made:
        images("admin", job.regions[0]).set(image_id, name="changed \x1b[31m\n" + FORGED)
    outputs = {"dry run": _command(sync_server, "reconcile", "--dry-run")}
    job.sync()
    job.converge()
    outputs |= {f"show {image_id}": _command(sync_server, "image", "show", image_id) for image_id in made[:2]}
    outputs["log"] = sync_server.log_path.read_bytes()[begun:].decode("utf-8")
    for what, text in outputs.items():
        assert not _STEERING.search(text), (what, _STEERING.search(text))
        assert not re.search(rf"(?m)^{re.escape(FORGED)}", text), what
    for image_id, name in zip(made, NAMES, strict=True):
        raw = job.admin.get(f"{sync_server.url}/v1/images/{image_id}").content
        assert raw.isascii()
        assert not _STEERING.search(raw.decode())
        assert json.loads(raw)["image"]["name"] == name


@pytest.mark.parametrize("name", NAMES)
def test_what_the_api_is_asked_comes_back_inert(job: MainJob, sync_server: SyncServer, name: str) -> None:
    begun = sync_server.log_path.stat().st_size
    for method, path, options in (
            ("GET", "/v1/images", {"params": {"region": name, "state": name}}),
            ("GET", "/v1/tasks", {"params": {name: "1"}}), ("POST", "/v1/sync", {"json": {"regions": [name]}}),
            ("POST", "/v1/cascaded-eps", {"json": {"regions": [name]}}),
            ("POST", "/v1/sync", {"json": {name: 1}})):
        answer = job.admin.request(sync_server.url + path, method, raise_exc=False, **options)
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.content.isascii()
        assert not _STEERING.search(answer.text)
    assert not _STEERING.search(sync_server.log_path.read_bytes()[begun:].decode("utf-8"))


def test_a_place_that_is_named_is_never_visited(job: MainJob, images: ImagesOf, sync_server: SyncServer) -> None:
    """URLs in hints and in properties: the server knows no way to an image but Glance's own."""
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/secret?X-Amz-Signature=abc"
        image_id = images("demo").create("placed", b"x", direct="y", block_device_mapping=url, description=url)["id"]
        places = {"locations": [{"url": url, "metadata": {"share_location": url}}, f"file:///etc/passwd#{url}"]}
        for refused in (*places["locations"][1:], url.replace("127", "user:secret@127")):
            answer = job.admin.request(f"{sync_server.url}/v1/images/{image_id}/location", "PUT", raise_exc=False,
                                       json={"action": "INSERT", "locations": [refused]})
            assert answer.status_code == 400
            assert "secret" not in answer.text
        for method, path, body in (("PUT", f"/v1/images/{image_id}/location", {"action": "CLEAR", **places}),
                                   ("PUT", f"/v1/images/{image_id}/location",
                                    {"action": "INSERT", "locations": places["locations"][:1]}),
                                   ("DELETE", f"/v1/images/{image_id}", places),
                                   ("PATCH", f"/v1/images/{image_id}", {"changes": places}),
                                   ("PUT", f"/v1/images/{image_id}", {"body": {"direct_url": url, **places}})):
            assert job.admin.request(sync_server.url + path, method, json=body).status_code == 202
        job.wait_for(image_id)
        job.converge()
        with pytest.raises(BlockingIOError):
            trap.accept()


def _command(server: SyncServer, *arguments: str) -> str:
    command = [sys.executable, "-m", "glancesync.cmd.manage", "--config-file", str(server.conf_path), *arguments]
    answer = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert answer.returncode in (0, 1), answer.stderr
    return (answer.stdout + answer.stderr).decode("utf-8")
