# SPDX-License-Identifier: Apache-2.0
"""How the filter is loaded, and servers of several processes and threads that load, fork, reload and die."""
from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from keystoneauth1.session import Session

from glancesync.filter.files import list_segments
from glancesync.lab.glance import FILTER_NAME, Glance
from glancesync.lab.images import Images
from tests.fixtures.fronts import SERVERS, WORKERS, ConfCopy, Front, NewFront
from tests.fixtures.polling import eventually
from tests.fixtures.twin import DELIVERED_SECONDS, Twin

pytest_plugins = ["tests.fixtures.twin", "tests.fixtures.fronts"]
pytestmark = [pytest.mark.lab, pytest.mark.every_glance]


LOAD = """
from glance.common.wsgi_app import init_app
init_app()
from glance.gateway import Gateway
print("LAYERS", type(Gateway().get_repo(None)).__module__, type(Gateway().get_member_repo(None, None)).__module__)
"""


def load_glance(glance: Glance, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([glance.python, "-c", LOAD], env=environment, capture_output=True, text=True, timeout=120,
                          check=False)


def test_switched_off_it_leaves_glance_as_it_is(glance: Glance, conf_copy: ConfCopy) -> None:
    def layers(**options: str) -> list[str]:
        # Some Glances log to standard output as well.
        said = load_glance(glance, conf_copy(**options)).stdout.splitlines()
        return next(line for line in said if line.startswith("LAYERS")).split()[1:]

    assert layers() == ["glancesync.filter.proxies"] * 2
    assert layers(sync_enabled="False") == ["glance.notifier"] * 2


def test_an_unknown_option_stops_the_start(glance: Glance, conf_copy: ConfCopy, tmp_path: Path) -> None:
    answer = load_glance(glance, conf_copy(sync_server_hots="x"))
    assert answer.returncode != 0
    told = answer.stdout + answer.stderr
    assert f"[filter:{FILTER_NAME}] of {tmp_path}/glance-api-paste.ini" in told
    assert "'sync_server_hots'" in told
    assert "sync_server_host," in told


def creator(demo: Session, front: Front) -> Callable[[], str]:
    def create() -> str:
        wanted = {"id": str(uuid.uuid4()), "disk_format": "raw", "container_format": "bare"}
        return str(demo.request(f"{front.url}/v2/images", "POST", json=wanted, headers={"Connection": "close"},
                                connect_retries=5).json()["id"])

    return create


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=() if kind == "gunicorn-preload" else pytest.mark.full)
                                  for kind in SERVERS])
def test_workers_that_load_fork_reload_and_die(twin: Twin, new_front: NewFront, kind: str,
                                               session_of: Callable[[str], Session]) -> None:
    front = new_front(kind)
    demo = session_of("demo")
    create = creator(demo, front)
    made = [create() for _ in range(30)]
    eventually(lambda: all(twin.of(one) for one in made), DELIVERED_SECONDS)
    owners = {segment.owner.split("-")[0] for segment in list_segments(front.outbox_path)}
    assert owners <= {str(pid) for pid in front.pids}
    assert len(owners) > 1

    twin.down()
    made += [create() for _ in range(10)]
    for pid in front.pids:
        os.kill(pid, 9)
    eventually(lambda: len(front.pids) == WORKERS and front.is_ready(), 60)
    made += [create() for _ in range(10)]
    front.reload()
    made += [create() for _ in range(10)]
    twin.up()
    eventually(lambda: all(twin.of(one) for one in made), DELIVERED_SECONDS)

    for one in made:
        # uWSGI ends connections as it likes: a second try finds what the first one did.
        answer = demo.request(f"{front.url}/v2/images/{one}", "DELETE", headers={"Connection": "close"},
                              connect_retries=5, raise_exc=False)
        assert answer.status_code in (204, 404), answer.text
    eventually(lambda: all(twin.of(one)[-1] == "remove" for one in made), DELIVERED_SECONDS)
    # What the dead ones left is cleared away, and nobody was told more than once a minute of it.
    eventually(lambda: {int(segment.owner.split("-")[0]) for segment in list_segments(front.outbox_path)}
               <= front.pids, DELIVERED_SECONDS)
    assert "glancesync/filter/" not in front.log, "there is a traceback of the filter"


@pytest.mark.parametrize("kind", ["gunicorn-preload", pytest.param("gunicorn", marks=pytest.mark.full)])
def test_processes_that_all_fail_complain_once_a_minute(twin: Twin, new_front: NewFront, kind: str,
                                                        session_of: Callable[[str], Session]) -> None:
    """Together where they were forked from one that loaded the filter, each for itself where they were not."""
    front = new_front(kind, started=False)
    front.outbox_path.write_text("a file stands in the way")
    front.start()
    made = [creator(session_of("demo"), front)() for _ in range(20)]
    eventually(lambda: "all" in [event["operation"] for event in twin.events], DELIVERED_SECONDS)
    for one in made:
        Images(session_of("demo"), front.url).delete(one)
    assert front.warnings
    front.assert_quiet(voices=1 if SERVERS[kind] else WORKERS)
