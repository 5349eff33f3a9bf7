# SPDX-License-Identifier: Apache-2.0
"""The strategy USER on the real cloud: the worked example of docs/strategies.md, what becomes of replicas, and a
Keystone that does not tell."""
from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from configparser import ConfigParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from keystoneauth1 import exceptions as ksa
from keystoneauth1.session import Session

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.cloud import OpenStack
from tests.fixtures.images import ImagesOf
from tests.fixtures.keystone_admin import KeystoneAdmin
from tests.fixtures.main_job import MainJob
from tests.fixtures.polling import eventually

pytestmark = pytest.mark.lab
ONE, TWO, THREE = "RegionOne", "RegionTwo", "RegionThree"
PAGE = Path(__file__).parents[2] / "docs" / "strategies.md"
#: Everything of the page's first worked example.
EXAMPLE = PAGE.read_text("utf-8").partition("## Example: two projects")[2].partition("## Example")[0]


def example(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", EXAMPLE, re.DOTALL)


def options(**strategy: object) -> dict[str, dict[str, object]]:
    """The example's configuration."""
    parser = ConfigParser()
    parser.read_string(example("ini")[0])
    return {"DEFAULT": dict(parser.defaults()),
            "strategy": {name: value for name, value in parser["strategy"].items() if name not in parser.defaults()}
            | strategy, "deletion": {"delete_confirm_seconds": 0.1}}


@pytest.fixture
def keystone(lab: Lab) -> KeystoneAdmin:
    return KeystoneAdmin(lab)


@pytest.fixture
def projects(lab: Lab, keystone: KeystoneAdmin) -> Iterator[dict[str, str]]:
    """The projects of the example by name, associated as its commands do it; auditors are made."""
    ids = {name: keystone.project_id(name) for name in ("demo", "rival")}
    with ExitStack() as stack:
        two, three = (stack.enter_context(keystone.endpoint_group(region_id=name)) for name in (TWO, THREE))
        for group, name in ((two, "demo"), (three, "demo"), (three, "rival")):
            stack.enter_context(keystone.grouped(group, ids[name]))
        stack.enter_context(keystone.new_role("auditor"))
        stack.enter_context(keystone.role_in(ids["rival"], "rival", "auditor"))
        yield ids


def run_commands(openstack: OpenStack, folder: Path, commands: str) -> None:
    """In one process of the client, as a person types them one after the other; its status at their end says nothing.
    """
    ours = [line.removeprefix("openstack ") for line in commands.splitlines() if line.startswith("openstack ")]
    answer = subprocess.run(openstack.command()[:1], input="\n".join(ours), cwd=folder, text=True, check=False,
                            env={**openstack.environment, "OS_CLOUD": "admin"}, capture_output=True, timeout=120)
    assert answer.stderr == ""


def expect(job: MainJob, images: ImagesOf, block: str, made: dict[str, str]) -> None:
    """Each line of the page's block holds: `private image of demo: RegionTwo`."""
    for line in block.strip().splitlines():
        what, _, regions = line.partition(":")
        visibility, _, _, owner = what.split()
        if what not in made:
            made[what] = images("admin").create(what, what.encode(), visibility=visibility,
                                                owner=KeystoneAdmin(job.lab).project_id(owner))["id"]
        there = regions.split()
        job.wait_for(made[what], regions=there)
        for region in job.regions:
            if region not in there:
                job.wait_for(made[what], "unwanted", code="not_selected", regions=[region])
            assert (images("admin", region).find(made[what]) is not None) is (region in there), (what, region)


def endpoints(job: MainJob, session: Session, regions: Sequence[str] = ()) -> set[str]:
    return set(job.call("POST", "/v1/cascaded-eps", session=session, json={"regions": list(regions)})["eps"])


def test_the_worked_example(openstack: OpenStack, job: MainJob, images: ImagesOf, tmp_path: Path,
                            start_server: Callable[..., SyncServer], session_of: Callable[[str], Session]) -> None:
    made: dict[str, str] = {}
    for name, text in zip(("region-two.json", "region-three.json"), example("json"), strict=True):
        (tmp_path / name).write_text(text)
    before, later = example("bash")
    first, second = example("text")
    try:
        run_commands(openstack, tmp_path, before)
        start_server(options())
        expect(job, images, first, made)
        two, three = job.lab.endpoint(TWO), job.lab.endpoint(THREE)
        assert endpoints(job, session_of("demo")) == {two}
        assert endpoints(job, session_of("rival")) == {three}
        assert endpoints(job, session_of("rival"), [THREE]) == {three}
        for name in (TWO, "Nowhere"):
            with pytest.raises(ksa.NotFound, match="no cascaded region .* may use; there are RegionThree"):
                endpoints(job, session_of("rival"), [name])
        run_commands(openstack, tmp_path, later)
        job.sync()  # as the page's `glance-sync-manage reconcile` does
        expect(job, images, second, made)
    finally:
        KeystoneAdmin(job.lab).forget(groups=("region-two", "region-three"), roles=("auditor",))


def reload(server: SyncServer, **strategy: object) -> None:
    """Other options of [strategy], without a restart."""
    server.overrides = {**server.overrides, "strategy": {**server.overrides["strategy"], **strategy}}
    server.configure()
    server.kill(signal.SIGHUP)


def test_kept_hidden_and_removed(job: MainJob, images: ImagesOf, projects: Mapping[str, str], keystone: KeystoneAdmin,
                                 start_server: Callable[..., SyncServer]) -> None:
    server = start_server(options())
    ours, there = images("demo"), images("admin", THREE)
    with keystone.role_in(projects["demo"], "demo", "auditor"):
        image_id = ours.create("kept", b"kept", visibility="shared")["id"]
        ours.add_member(image_id, projects["rival"])
        job.wait_for(image_id)
    job.sync()
    job.wait_for(image_id, "unwanted", code="not_allowed_kept", regions=[THREE])
    ours.remove_member(image_id, projects["rival"])
    ours.set(image_id, name="renamed")
    eventually(lambda: there.get(image_id)["name"] == "renamed" and not there.members(image_id),
               what="what is kept follows its image")
    assert there.read(image_id) == b"kept"

    reload(server, disallowed_replicas="hidden")
    job.wait_for(image_id, "unwanted", code="not_allowed_hidden", regions=[THREE])
    assert (there.get(image_id)["os_hidden"], images("admin", TWO).get(image_id)["os_hidden"]) == (True, False)
    with keystone.role_in(projects["demo"], "demo", "auditor"):
        job.sync()
        job.wait_for(image_id)
        assert there.get(image_id)["os_hidden"] is False

    reload(server, disallowed_replicas="removed")
    job.wait_for(image_id, "unwanted", code="not_allowed_removing", regions=[THREE])

    def removed() -> bool:
        job.sync()
        return there.find(image_id) is None

    eventually(removed, every_seconds=0.5, what="two comparisons remove it")
    job.wait_for(image_id, "unwanted", code="not_selected", regions=[THREE])
    deletions = [each for each in job.call("GET", "/v1/deletions")["deletions"] if each["image_id"] == image_id]
    assert [(each["cause"], each["region"]) for each in deletions] == [("not_allowed", THREE)]
    with keystone.role_in(projects["demo"], "demo", "auditor"):
        job.sync()
        again = job.wait_for(image_id)[THREE]
    assert (again["id_reason"], there.read(again["replica_id"])) == ("not_allowed", b"kept")


@pytest.mark.full
def test_a_keystone_that_does_not_tell(job: MainJob, images: ImagesOf, projects: Mapping[str, str], lab: Lab,
                                       start_server: Callable[..., SyncServer]) -> None:
    """It refuses the one question, for a policy of its own says so; everything else works."""
    start_server({**options(disallowed_replicas="removed"), "DEFAULT": {"sync_strategy": "user"}})
    ours = images("demo")
    image_id = ours.create("there", b"there", visibility="shared")["id"]
    ours.add_member(image_id, projects["rival"])
    job.wait_for(image_id, regions=[TWO])
    rules = lab.keystone.directory / "policy.yaml"
    rules.write_text(json.dumps({"identity:list_endpoints_for_project": "!"}))
    try:
        eventually(lambda: _is_refused(job, projects["demo"]), what="Keystone refuses")
        job.sync()
        new = ours.create("new", b"new")["id"]
        views = job.wait_for(new, "waiting", code="owner_regions_unknown")
        assert "403" in views[TWO]["reason"]
        ours.remove_member(image_id, projects["rival"])
        eventually(lambda: images("admin", TWO).members(image_id) == {}, what="who lost his access has lost it")
        assert images("admin", TWO).find(new) is None
    finally:
        rules.unlink()
    eventually(lambda: not _is_refused(job, projects["demo"]), what="Keystone answers")

    def copied() -> bool:
        job.sync(new)
        return job.states(new)[TWO]["state"] == "in_sync"

    eventually(copied, every_seconds=1, what="it is copied")
    assert images("admin", THREE).find(new) is None


def _is_refused(job: MainJob, project_id: str) -> Any:
    return job.lab.session("glance-sync").get(
        f"{job.lab.keystone_url}/OS-EP-FILTER/projects/{project_id}/endpoints", raise_exc=False).status_code == 403
