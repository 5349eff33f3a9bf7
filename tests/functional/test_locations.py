# SPDX-License-Identifier: Apache-2.0
"""Images at external URLs, on a cloud of which one cascaded region takes such locations and one does not."""
from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from keystoneauth1.session import Session

from glancesync.lab.cloud import Lab
from glancesync.lab.images import Images
from glancesync.lab.state import LabOptions
from tests.fixtures.cloud import SERVER_OPTIONS
from tests.fixtures.polling import eventually

pytestmark = [pytest.mark.lab, pytest.mark.full]
ONE, TWO, THREE = "RegionOne", "RegionTwo", "RegionThree"


class Cloud:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.admin: Session = lab.session("admin")
        self.ours = Images(lab.session("demo"), lab.endpoint(ONE))

    def register(self, url: str) -> str:
        """An image of the project demo that its user gave this URL."""
        image_id = str(self.ours.create("external")["id"])
        answer = self.lab.session("demo").post(f"{self.lab.endpoint(ONE)}/v2/images/{image_id}/locations",
                                               json={"url": url})
        assert answer.status_code == 202
        eventually(lambda: self.ours.get(image_id)["os_hash_value"] is not None, 30, what="Glance read the URL")
        eventually(lambda: self.ours.get(image_id)["status"] == "active", 30, what="the image is active")
        return image_id

    def locations(self, image_id: str, region: str) -> list[str]:
        answer = self.admin.get(f"{self.lab.endpoint(region)}/v2/images/{image_id}/locations", raise_exc=False)
        assert answer.status_code == 200, answer.text
        return [each["url"] for each in answer.json()]

    def put(self, image_id: str, action: str, *urls: str) -> int:
        return int(self.admin.put(f"{self.lab.server.url}/v1/images/{image_id}/location", raise_exc=False, json={
            "action": action, "locations": [{"url": url, "metadata": {}} for url in urls]}).status_code)

    def view(self, image_id: str) -> dict[str, dict[str, Any]]:
        """The server's word by region."""
        found = self.admin.get(f"{self.lab.server.url}/v1/images/{image_id}").json()["image"]
        return {each["region"]: each for each in found["regions"]}

    @contextmanager
    def locations_writable(self) -> Iterator[None]:
        """The cascading Glance has show_multiple_locations, without which nobody can take a location away."""
        glance = self.lab.glances[ONE]
        path = glance.directory / "glance-api.conf"
        before = path.read_text("utf-8")
        try:
            self._restart(path, before.replace("[DEFAULT]", "[DEFAULT]\nshow_multiple_locations = true", 1))
            yield
        finally:
            self._restart(path, before)

    def _restart(self, path: Path, text: str) -> None:
        glance = self.lab.glances[ONE]
        glance.stop()
        path.write_text(text, "utf-8")
        glance.start()
        glance.wait_ready()

    def empty(self, image_id: str) -> None:
        """The image is as before it had bytes."""
        glance = self.lab.glances[ONE]
        glance.stop()
        with closing(sqlite3.connect(glance.directory / "service.db")) as database, database:
            database.execute("UPDATE image_locations SET deleted = 1, status = 'deleted' WHERE image_id = ?",
                             [image_id])
            database.execute("UPDATE images SET status = 'queued', size = NULL, checksum = NULL, os_hash_value = NULL, "
                             "os_hash_algo = NULL, updated_at = datetime('now') WHERE id = ?", [image_id])
        glance.start()
        glance.wait_ready()

    def change(self, image_id: str, what: str, where: str, value: Any = None) -> None:
        Images(self.admin, self.lab.endpoint(ONE)).patch(image_id, {"op": what, "path": where} | (
            {} if what == "remove" else {"value": value}))

    def wait_for(self, image_id: str, text: str, region: str) -> dict[str, Any]:
        def reached() -> dict[str, Any]:
            answer = self.admin.get(f"{self.lab.server.url}/v1/images/{image_id}", raise_exc=False)
            assert answer.status_code == 200
            found = {each["region"]: each for each in answer.json()["image"]["regions"]}
            assert found[region]["state"] == "in_sync", found[region]
            assert text in found[region]["reason"], found[region]
            return found[region]

        return eventually(reached, 60, what=f"{image_id} in {region}: {text}")


@pytest.fixture(scope="module")
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The filter is off: what is hinted is what is known."""
    lab = Lab(tmp_path_factory.mktemp("located") / "cloud")
    try:
        lab.up(LabOptions(with_filter=False, http_stores=2), with_server=False)
        lab.server.overrides = SERVER_OPTIONS
        lab.server.bring_up()
        yield Cloud(lab)
    finally:
        lab.down(keep=request.session.testsfailed > 0)


def test_a_url_is_registered_where_it_is_taken_and_copied_elsewhere(cloud: Cloud,
                                                                    web_files: tuple[Path, str]) -> None:
    folder, base = web_files
    data, url = secrets.token_bytes(300_000), f"{base}/image?X-Signature=hunter2"
    (folder / "image").write_bytes(data)
    image_id = cloud.register(url)
    assert cloud.put(image_id, "INSERT", url) == 202
    cloud.wait_for(image_id, "they lie at its external URL", TWO)
    cloud.wait_for(image_id, "they were copied: RegionThree could not read", THREE)
    assert cloud.locations(image_id, TWO) == [url]
    assert cloud.locations(image_id, THREE)[0].startswith("file://")
    for region in (TWO, THREE):
        there = Images(cloud.lab.session("demo"), cloud.lab.endpoint(region))
        assert there.read(image_id) == data
        assert there.get(image_id)["os_hash_value"] == cloud.ours.get(image_id)["os_hash_value"]
    assert "hunter2" not in cloud.lab.server.log_path.read_text("utf-8", "replace")
    assert b"hunter2" not in b"".join(path.read_bytes() for path in cloud.lab.server.directory.glob("*.db*"))
    cloud.ours.ensure_deleted(image_id)


def test_a_url_that_gives_other_bytes_by_now_is_not_believed(cloud: Cloud, web_files: tuple[Path, str]) -> None:
    folder, base = web_files
    (folder / "image").write_bytes(b"the right bytes")
    image_id = cloud.register(f"{base}/image")
    (folder / "image").write_bytes(b"the wrong bytes")
    assert cloud.put(image_id, "INSERT", f"{base}/image") == 202

    def judged() -> bool:
        answer = cloud.admin.get(f"{cloud.lab.server.url}/v1/images/{image_id}").json()["image"]["regions"]
        codes = {each["region"]: each["reason_code"] for each in answer}
        assert codes == {TWO: "source_corrupt", THREE: "source_corrupt"}
        return True

    eventually(judged, 60, what="no region got the wrong bytes")
    assert Images(cloud.admin, cloud.lab.endpoint(TWO)).get(image_id)["status"] == "queued"
    cloud.ours.ensure_deleted(image_id)


def test_a_url_that_is_taken_away_is_followed(cloud: Cloud, web_files: tuple[Path, str]) -> None:
    """DELETE: the replica lies at the URL that is left, or has the bytes, whatever its id is then."""
    folder, base = web_files
    data = secrets.token_bytes(200_000)
    for name in ("first", "second"):
        (folder / name).write_bytes(data)
    image_id = cloud.register(f"{base}/first")
    assert cloud.put(image_id, "INSERT", f"{base}/first") == 202
    cloud.wait_for(image_id, "they lie at its external URL", TWO)
    with cloud.locations_writable():
        cloud.change(image_id, "add", "/locations/-", {"url": f"{base}/second", "metadata": {}})
        cloud.change(image_id, "remove", "/locations/0")
    assert cloud.locations(image_id, ONE) == [f"{base}/second"]
    assert cloud.put(image_id, "DELETE", f"{base}/first") == 202

    def followed() -> str:
        view = cloud.view(image_id)[TWO]
        assert view["state"] == "in_sync", view
        there = Images(cloud.admin, cloud.lab.endpoint(TWO)).find(view["replica_id"])
        assert there is not None, "the one before is gone"
        assert f"{base}/first" not in cloud.locations(view["replica_id"], TWO)
        return str(view["replica_id"])

    replica_id = eventually(followed, 60, what="the replica lies elsewhere")
    (folder / "first").unlink()  # nobody reads it any more
    assert Images(cloud.lab.session("demo"), cloud.lab.endpoint(TWO)).read(replica_id) == data
    cloud.wait_for(image_id, "they were copied", THREE)
    cloud.ours.ensure_deleted(image_id)


def test_an_image_without_locations_is_queued_again_and_its_replicas_with_it(cloud: Cloud,
                                                                             web_files: tuple[Path, str]) -> None:
    """CLEAR. By its API no Glance of today lets anybody take the last location away."""
    folder, base = web_files
    (folder / "image").write_bytes(b"bytes that are taken away")
    image_id = cloud.register(f"{base}/image")
    assert cloud.put(image_id, "INSERT", f"{base}/image") == 202
    cloud.wait_for(image_id, "they lie at its external URL", TWO)
    cloud.wait_for(image_id, "they were copied", THREE)
    cloud.empty(image_id)
    assert cloud.ours.get(image_id)["status"] == "queued"
    assert cloud.put(image_id, "CLEAR") == 202

    def emptied() -> bool:
        states = {region: (each["state"], each["reason_code"]) for region, each in cloud.view(image_id).items()}
        assert states == dict.fromkeys((TWO, THREE), ("waiting", "source_not_ready"))
        return all(Images(cloud.admin, cloud.lab.endpoint(region)).find(image_id) is None for region in (TWO, THREE))

    eventually(emptied, 60, what="the replicas are gone and wait")
    deletions = cloud.admin.get(f"{cloud.lab.server.url}/v1/deletions").json()["deletions"]
    assert {(each["region"], each["cause"]) for each in deletions if each["image_id"] == image_id} == {
        (TWO, "emptied"), (THREE, "emptied")}
    cloud.ours.upload(image_id, b"bytes of its own")
    assert cloud.put(image_id, "CLEAR") == 202
    eventually(lambda: {each["state"] for each in cloud.view(image_id).values()} == {"in_sync"}, 60,
               what="it is filled anew")
    cloud.ours.ensure_deleted(image_id)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "http://user:secret@127.0.0.1/x"])
def test_what_is_no_plain_url_is_refused(cloud: Cloud, url: str) -> None:
    assert cloud.put("11111111-1111-4111-8111-111111111111", "INSERT", url) == 400
