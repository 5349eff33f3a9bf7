# SPDX-License-Identifier: Apache-2.0
"""`openstack image sync ...` by the real client: what an operator and an ordinary user see, and its exit statuses."""
from __future__ import annotations

import json

import pexpect
import pytest

from tests.fixtures.cloud import OpenStack
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MIB, MainJob

pytestmark = pytest.mark.lab
REFUSED = "Ask with the credentials of an administrator"


@pytest.fixture
def made(job: MainJob, images: ImagesOf) -> str:
    """An image of an ordinary user, in sync everywhere, whose name would steer a terminal."""
    image_id = str(images("demo").create("gold\x1b[31men", b"x" * MIB)["id"])
    job.wait_for(image_id)
    return image_id


def test_an_ordinary_user_follows_an_image(made: str, openstack: OpenStack, job: MainJob) -> None:
    listed = openstack("image", "sync", "status")
    row = next(line for line in listed.splitlines() if made in line)
    assert [cell.strip() for cell in row.split("|")[1:-1]] == [made, "gold\\x1b[31men", "in_sync", "in_sync"]
    shown = openstack.json("image", "sync", "status", made)
    assert {each["Region"]: (each["State"], each["Progress"], each["Replica ID"]) for each in shown} == {
        region: ("in_sync", "100 % of 1.0 MiB", made) for region in job.regions}
    assert openstack("image", "sync", "wait", made, "--timeout", "60") == f"{made} is in sync in every region\n"

    refused = openstack.attempt("image", "sync", "run", made)
    assert (refused.returncode, REFUSED in refused.stderr) == (1, True), refused.stderr
    hidden = openstack.attempt("image", "sync", "status", made, user="rival")
    assert (hidden.returncode, "image sync status lists what is known" in hidden.stderr) == (1, True), hidden.stderr


def test_an_operator_finds_and_mends_a_difference(made: str, openstack: OpenStack, job: MainJob,
                                                  images: ImagesOf) -> None:
    assert openstack.attempt("image", "sync", "diff", made, user="admin").returncode == 0
    images("admin", "RegionTwo").set(made, name="changed behind our back")

    found = openstack.attempt("image", "sync", "diff", made, "-f", "value", "-c", "Region", "-c", "Actions",
                              user="admin")
    assert (found.returncode, found.stdout) == (1, "RegionTwo UpdateReplica\n"), found
    assert openstack("image", "sync", "run", made, "--dry-run", "-f", "value", "-c", "Region",
                     user="admin") == "RegionTwo\n"
    assert images("admin", "RegionTwo").get(made)["name"] == "changed behind our back"

    ran = openstack.attempt("image", "sync", "run", made, "--wait", "-f", "value", "-c", "State", user="admin")
    assert (ran.returncode, ran.stdout) == (0, "done\ndone\n"), ran
    assert "RegionTwo: 1 of 1" in ran.stderr
    assert images("admin", "RegionTwo").get(made)["name"] == "gold\x1b[31men"
    assert openstack.attempt("image", "sync", "diff", made, user="admin").returncode == 0
    # What other tests of this cloud leave behind, or are just doing, decides the status here.
    everything = openstack.attempt("image", "sync", "diff", "-f", "json", user="admin")
    drifting = {row["Image ID"] for row in json.loads(everything.stdout) if row["Reason code"] != "foreign"}
    assert (everything.returncode, made in drifting) == (1 if drifting else 0, False), everything


def test_tasks_and_regions(made: str, openstack: OpenStack, job: MainJob) -> None:
    tasks = openstack.json("image", "sync", "task", "list", "--image", made, "--region", "RegionTwo", user="admin")
    assert [(task["Image ID"], task["State"]) for task in tasks] == [(made, "done")]
    task_id = tasks[0]["ID"]
    assert openstack("image", "sync", "task", "retry", task_id, user="admin") == f"{task_id} is due now\n"
    job.wait_for(made)
    shown = openstack.json("image", "sync", "task", "show", task_id, user="admin")
    assert (shown["image_id"], shown["runs"][0]["outcome"]) == (made, "done")
    regions = openstack.json("image", "sync", "region", "list", user="admin")
    assert {each["Region"]: each["Role"] for each in regions} == {
        job.lab.cascading_region: "cascading", **dict.fromkeys(job.regions, "cascaded")}


def test_a_terminal_shows_a_bar(made: str, openstack: OpenStack) -> None:
    command, *arguments = openstack.command("image", "sync", "run", made, "--wait", user="admin")
    with pexpect.spawn(command, arguments, env={**openstack.environment, "TERM": "xterm"}, encoding="utf-8",
                       timeout=60, dimensions=(40, 160)) as terminal:
        terminal.expect("RegionThree.*━.*100%")
        terminal.expect(pexpect.EOF)
    assert terminal.exitstatus == 0


@pytest.mark.parametrize(("options", "command", "status", "words"), [
    (["--os-image-sync-endpoint", "http://127.0.0.1:1"], ["status"], 1, "Look whether the sync server runs"),
    (["--os-image-sync-endpoint", "http://127.0.0.1:1"], ["diff"], 2, "Look whether the sync server runs"),
    (["--os-auth-url", "http://127.0.0.1:1"], ["diff"], 2, "Unable to establish connection"),
    (["--os-password", "wrong"], ["diff"], 2, "requires authentication"),
    ([], ["status", "no such image"], 1, "Glance shows no image no such image here"),
    ([], ["run", "--region", "Nowhere"], 1, "there are RegionThree, RegionTwo"),
])
def test_an_error_names_the_thing_and_the_next_step(
        options: list[str], command: list[str], status: int, words: str, openstack: OpenStack, job: MainJob) -> None:
    answer = openstack.attempt(*options, "image", "sync", *command, user="admin")
    assert answer.returncode == status, answer
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr
