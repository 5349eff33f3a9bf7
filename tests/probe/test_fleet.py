# SPDX-License-Identifier: Apache-2.0
"""A server with the engine `celery`, three workers, RabbitMQ and PostgreSQL as real processes over a cloud that only
answers: broker and workers are killed, stopped, emptied; every row ends at seen == wanted, and nothing runs twice at
once."""
from __future__ import annotations

import random
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from glancesync.lab.ports import find_free_port
from tests.fixtures.fake_cloud import FakeCloud, image_ids
from tests.fixtures.fleet import PASSWORD, Fleet, Noise, new_account
from tests.fixtures.polling import eventually
from tests.fixtures.rabbitmq import RabbitMQ

pytest_plugins = ["tests.fixtures.rabbitmq"]
pytestmark = pytest.mark.full
NewFleet = Callable[..., tuple[Fleet, FakeCloud, Noise]]


@pytest.fixture(scope="module")
def broker_url(rabbitmq: RabbitMQ) -> str:
    return new_account(rabbitmq)


@pytest.fixture
def new_fleet(tmp_path: Path, broker_url: str, new_database: Callable[[str], str]) -> Iterator[NewFleet]:
    ends: list[Callable[[], None]] = []

    def new(*, backend: str = "postgresql", regions: int, images: int, seconds: float,
            **options: object) -> tuple[Fleet, FakeCloud, Noise]:
        cloud = FakeCloud(tmp_path, regions=regions, images=images, seconds=seconds)
        fleet = Fleet(tmp_path, cloud, url=new_database(backend), broker_url=broker_url,
                      **options)  # type: ignore[arg-type]
        noise = Noise(fleet, broker_url, cloud.names)
        ends.extend([cloud.stop, noise.close, fleet.end])
        return fleet, cloud, noise

    yield new
    for end in reversed(ends):
        end()


def all_seen(noise: Noise, count: int) -> bool:
    rows = noise.rows()
    assert (len(rows), {(row.state, row.seen == row.wanted) for row in rows}) == (count, {("done", True)})
    return True


def uploaded(cloud: FakeCloud) -> set[tuple[str, str]]:
    return {(each.region, each.image_id) for each in cloud.uploads("end")}


def every_pair(cloud: FakeCloud, images: int) -> set[tuple[str, str]]:
    return {(region, image_id) for region in cloud.names for image_id in image_ids(images)}


def nothing_of_the_password(fleet: Fleet) -> None:
    for each in [*fleet.daemons, *fleet.workers]:
        assert PASSWORD not in each.log
        assert quote(PASSWORD, safe="") not in each.log
        assert not each.lines("Traceback")


@pytest.mark.timeout(420)
@pytest.mark.parametrize("backend", ["postgresql"])
def test_killed_stopped_emptied_and_doubled(new_fleet: NewFleet, rabbitmq: RabbitMQ, backend: str,
                                            tell: Callable[[str], None]) -> None:
    """Every 2 s one of the workers or the broker dies, or the messages do; then all is left to itself."""
    fleet, cloud, noise = new_fleet(backend=backend, regions=6, images=60, seconds=0.5)
    seed = random.randrange(10**6)  # noqa: S311 - which faults come when
    chance = random.Random(seed)  # noqa: S311
    tell(f"the fleet's faults on {backend}: seed {seed}")
    fleet.start()
    for _ in range(3):
        fleet.start_worker()
    done: Counter[str] = Counter()

    def kill_worker() -> None:
        which = chance.randrange(3)
        fleet.workers[which].kill()
        fleet.workers[which] = fleet.start_worker(wait=False)
        fleet.workers.pop()

    def kill_broker() -> None:
        rabbitmq.kill()
        rabbitmq.start()

    def stop_broker() -> None:
        rabbitmq.stop()
        rabbitmq.start()

    faults = {"worker killed": kill_worker, "broker killed": kill_broker, "broker stopped": stop_broker,
              "queues emptied": noise.purge, "queues deleted": noise.delete_queues, "messages repeated": noise.repeat}
    order = list(faults) * 2
    chance.shuffle(order)
    for name in order:
        faults[name]()
        done[name] += 1
        time.sleep(2)
    left = 360 - len(uploaded(cloud))
    tell(f"faults on {backend}: {dict(done)}; {left} of 360 copies were left then")
    eventually(lambda: all_seen(noise, 360), 180, every_seconds=1)
    cloud.check_no_two_at_once()
    assert uploaded(cloud) == every_pair(cloud, 60)
    nothing_of_the_password(fleet)


def test_while_the_broker_is_away(new_fleet: NewFleet, rabbitmq: RabbitMQ) -> None:
    """Requests are taken, an operator sees why nothing happens, and it goes on by itself."""
    port = find_free_port(())
    fleet, _cloud, noise = new_fleet(regions=2, images=10, seconds=0.1, options={"celery": {"metrics_port": port}})
    server, worker = fleet.start(), fleet.start_worker()
    eventually(lambda: all_seen(noise, 20), 60)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        runs = [line for line in answer.read().decode().splitlines() if line.startswith("glance_sync_runs_total")]
    assert sum(float(line.rpartition(" ")[2]) for line in runs) >= 20, "what this worker ran"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/tasks", timeout=10)
    rabbitmq.stop()
    try:
        eventually(lambda: all(each["trouble"] for each in fleet.call("GET", "/v1/servers")["servers"]), 30)
        answer = fleet.call("POST", "/v1/sync", {"image_ids": list(image_ids(10))})
        assert len(answer["tasks"]) == 20
        assert server.lines("WARNING", "no worker can be told of them: the message broker does not take messages")
        assert PASSWORD not in str(fleet.call("GET", "/v1/servers"))
        families = fleet.call("GET", "/metrics")
        assert sum(line.endswith(" 1.0") for line in families.splitlines()
                   if line.startswith("glance_sync_server_in_trouble")) == 2
        assert {row.state for row in noise.rows()} == {"waiting"}
    finally:
        rabbitmq.start()
    eventually(lambda: all_seen(noise, 20), 60)
    assert server.lines("the message broker answers again")
    eventually(lambda: not any(each["trouble"] for each in fleet.call("GET", "/v1/servers")["servers"]), 30)
    assert [worker.stop(), server.stop()] == [0, 0]
    nothing_of_the_password(fleet)


@pytest.mark.parametrize("signals", [1, 2], ids=["graceful", "at once"])
def test_a_worker_drains(new_fleet: NewFleet, signals: int) -> None:
    """SIGTERM: what runs ends, nothing new begins there; a second one hands back at once. The others do the rest."""
    fleet, cloud, noise = new_fleet(regions=4, images=20, seconds=2)
    fleet.start()
    workers = [fleet.start_worker() for _ in range(2)]
    eventually(lambda: len(cloud.uploads("begin")) >= 12, 60)
    for _ in range(signals):
        workers[0].send(signal.SIGTERM)
        workers[0].wait_for("stopping: nothing new is started")
    assert workers[0].ended(20) == 0
    assert bool(workers[0].lines("handed back to the queue")) is (signals == 2), workers[0].log
    begun = len(workers[0].lines("tasks.runner"))
    eventually(lambda: all_seen(noise, 80), 120)
    assert len(workers[0].lines("tasks.runner")) == begun
    assert len(fleet.call("GET", "/v1/servers")["servers"]) == 2
    cloud.check_no_two_at_once()
    assert uploaded(cloud) == every_pair(cloud, 20)
    nothing_of_the_password(fleet)


def test_from_local_to_celery_and_back(new_fleet: NewFleet) -> None:
    """The server changes its engine twice under load, one restart each; nothing is lost or done twice."""
    fleet, cloud, noise = new_fleet(regions=4, images=40, seconds=0.5, options={"worker": {"max_tasks": 4}})
    fleet.set_engine("local")
    server = fleet.start()
    eventually(lambda: len(cloud.uploads("end")) >= 20, 60)
    fleet.set_engine("celery")
    worker = fleet.start_worker()  # beside the server that still runs tasks itself
    assert server.stop() == 0
    server = fleet.start()
    eventually(lambda: len(worker.lines("done, in_sync")) >= 20, 60)
    fleet.set_engine("local")
    assert server.stop() == 0
    server = fleet.start()
    assert worker.stop() == 0
    assert len(cloud.uploads("end")) < 160, "the changes came too late to show anything"
    eventually(lambda: all_seen(noise, 160), 120)
    cloud.check_no_two_at_once()
    assert len(cloud.uploads("end")) == 160
    assert uploaded(cloud) == every_pair(cloud, 40)
    nothing_of_the_password(fleet)


def test_a_worker_that_has_nothing_to_do_says_so(new_fleet: NewFleet) -> None:
    fleet, _cloud, _noise = new_fleet(regions=1, images=1, seconds=0)
    fleet.set_engine("local")
    worker = fleet.start_worker(wait=False)
    assert worker.ended(30) == 2
    assert worker.lines("the servers run the tasks themselves")


def test_a_broker_that_lets_nobody_in(new_fleet: NewFleet, rabbitmq: RabbitMQ) -> None:
    """A wrong password: both say so, without it, and do not fill their logs; the server answers."""
    wrong = f"amqp://glance-sync:wr0ng-one@127.0.0.1:{rabbitmq.port}/glance-sync"
    fleet, _cloud, noise = new_fleet(regions=1, images=3, seconds=0, options={"celery": {"broker_url": wrong}})
    server, worker = fleet.start(), fleet.start_worker()
    eventually(lambda: all(each["trouble"] for each in fleet.call("GET", "/v1/servers")["servers"]), 30)
    assert all("ACCESS_REFUSED" in each["trouble"] for each in fleet.call("GET", "/v1/servers")["servers"])
    eventually(lambda: len(noise.rows()) == 3, 30)
    before = len(worker.log.splitlines())
    time.sleep(5)
    assert len(worker.log.splitlines()) - before < 15, "lines in 5 s"
    for each in (server, worker):
        assert "wr0ng-one" not in each.log
        command = Path(f"/proc/{each.process.pid}/cmdline").read_bytes()
        assert b"wr0ng-one" not in command
    assert [worker.stop(), server.stop()] == [0, 0]
