# SPDX-License-Identifier: Apache-2.0
"""The documentation's own commands on the lab, its site, and what the command line promises of every command."""
from __future__ import annotations

import csv
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.fixtures.cloud import OpenStack
from tests.fixtures.doc_commands import PAGES, ROOT, blocks
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MainJob

RUN = [block for page in PAGES for block in blocks(page) if block.how == "run"]


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    built = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
                           cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    for page in (ROOT / "docs").glob("*.md"):
        assert (tmp_path / "site" / page.with_suffix(".html").name).exists()
    foreign = [path.name for path in (tmp_path / "site").glob("*.html")
               for word in ('src="http', "src='http", 'stylesheet" href="http') if word in path.read_text("utf-8")]
    assert not foreign


@pytest.mark.lab
def test_blocks_that_are_to_be_run(openstack: OpenStack, job: MainJob) -> None:
    said = {}
    try:
        for block in RUN:
            for command in block.commands:
                answer = subprocess.run(_command(openstack, command), cwd=ROOT, env=openstack.environment,
                                        capture_output=True, text=True, check=False, timeout=120)
                assert answer.returncode == 0, f"{block.page}:{block.line}: {command}\n{answer.stderr}"
                said[command] = answer.stdout
    finally:
        openstack("image", "delete", "five-minutes", check=False)
    shown = next(text for command, text in said.items() if "image show" in command)
    assert "five-minutes" in shown
    completion = said["openstack complete --shell bash"]
    assert "cmds_image_sync='diff region run server status task wait'" in completion
    assert "cmds_image_sync_task='cancel list retry show'" in completion
    assert "--dry-run" in next(line for line in completion.splitlines() if line.strip().startswith(
        "cmds_image_sync_run="))


def _command(openstack: OpenStack, command: str) -> list[str]:
    name, *rest = shlex.split(command)
    assert name == "openstack", "what else is run needs a way to be run here"
    return [openstack.command()[0], *rest]


@pytest.mark.lab
def test_formats_columns_and_usage(openstack: OpenStack, job: MainJob, images: ImagesOf) -> None:
    made = {name: str(images("demo").create(name, b"x")["id"]) for name in ("b of docs", "a of docs")}
    for image_id in made.values():
        job.wait_for(image_id)

    rows = list(csv.DictReader(openstack("image", "sync", "status", "-f", "csv", "--sort-column", "Name").splitlines()))
    assert [row["Name"] for row in rows if row["Name"] in made] == ["a of docs", "b of docs"]
    assert {row["Image ID"]: row["RegionTwo"] for row in rows}[made["a of docs"]] == "in_sync"
    values = openstack("image", "sync", "status", "--long", "-f", "value", "-c", "Name", "-c", "Region", "-c", "State",
                       "--sort-descending", "--sort-column", "Name")
    assert [line for line in values.splitlines() if line.endswith("RegionTwo in_sync") and "of docs" in line] == [
        "b of docs RegionTwo in_sync", "a of docs RegionTwo in_sync"]
    listed = yaml.safe_load(openstack("image", "sync", "task", "list", "--image", made["a of docs"], "-f", "yaml",
                                      user="admin"))
    assert {each["Region"] for each in listed} == set(job.regions)
    assert len(openstack.json("image", "sync", "task", "list", "--limit", "1", user="admin")) == 1
    assert openstack.attempt("image", "sync", "wait").returncode == 2


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_wheel_and_source_distribution_install_cleanly(tmp_path: Path) -> None:
    def run(*arguments: object) -> str:
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        answer = subprocess.run([str(each) for each in arguments], cwd=tmp_path, env=variables, text=True, check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900)
        assert answer.returncode == 0, answer.stdout[-4000:]
        return answer.stdout

    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info"))
    run(sys.executable, "-m", "venv", "tools")
    run(tmp_path / "tools/bin/python", "-m", "pip", "install", "--quiet", "build")
    run(tmp_path / "tools/bin/python", "-m", "build", "--outdir", tmp_path / "dist", source)
    wheel, = (tmp_path / "dist").glob("*.whl")
    archive, = (tmp_path / "dist").glob("*.tar.gz")
    files = run("tar", "-tzf", archive)
    for name in ("installation/install.sh", "etc/glance-sync.conf", "docs/index.md", "mkdocs.yml"):
        assert f"/{name}\n" in files
    run(sys.executable, "-m", "venv", "venv")
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[cli]")
    run(python, "-m", "pip", "check")
    for name in ("glance-sync", "glance-sync-manage", "glance-sync-lab", "glance-sync-worker"):
        assert "usage" in run(tmp_path / "venv/bin" / name, "--help").lower()
    assert "image sync diff" in run(tmp_path / "venv/bin/openstack", "image", "sync", "--help")
    run(python, "-c", "import importlib, pkgutil, glancesync\n"
                      "for each in pkgutil.walk_packages(glancesync.__path__, 'glancesync.'):\n"
                      "    wanted = not each.name.startswith(('glancesync.lab', 'glancesync.installation',"
                      " 'glancesync.db.migrations.env', 'glancesync.cmd.lab',"
                      " 'glancesync.filter.proxies', 'glancesync.filter.store_inspection',"
                      " 'glancesync.filter.store_locations', 'glancesync.cmd.hear', 'glancesync.cmd.ring',"
                      " 'glancesync.tasks.engines.celery_'))\n"
                      "    wanted and importlib.import_module(each.name)\n")
    conf = tmp_path / "glance-sync.conf"
    conf.write_text(f"[DEFAULT]\ncascading_region = RegionOne\n[database]\nconnection = sqlite:///{tmp_path}/state.db\n")
    assert "the database is at" in run(tmp_path / "venv/bin/glance-sync-manage", "--config-file", conf, "db", "sync")
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", archive)
