# SPDX-License-Identifier: Apache-2.0
"""The installer in a root of its own beside an installed Glance: look, install, again, upgrade, use, take back."""
from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from glancesync.db import migrate
from glancesync.installation.programs import version_of
from glancesync.lab.cloud import Lab
from glancesync.lab.glance import APPLICATION, installed_paste_file
from glancesync.lab.images import Images
from glancesync.lab.ports import find_free_port
from glancesync.lab.state import LabOptions
from tests.fixtures.fresh_root import FreshRoot, state_of
from tests.fixtures.polling import eventually

pytest_plugins = ["tests.fixtures.fresh_root"]
pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(1800)]

SOURCE = Path(__file__).parents[3]
PARTS = ("pyproject.toml", "setup.py", "README.md", "glancesync", "installation", "etc")
PYTHON = "/usr/bin/python3"
PROGRAM = "/opt/glance-sync/bin/glance-sync-manage"
CONF = "/etc/glance-sync/glance-sync.conf"
SECRETS = {"service": "glance-sync", "events": "glance-sync-events"}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Lab]:
    """Two regions, no filter, no sync server."""
    lab = Lab(tmp_path / "cloud")
    try:
        lab.up(LabOptions(regions=2, with_filter=False), with_server=False)
        yield lab
    finally:
        lab.down()


@pytest.fixture
def host(fresh_root: FreshRoot, cloud: Lab, tmp_path: Path) -> FreshRoot:
    """With Glance's programs and files as a distribution lays them, and two versions of this program's source."""
    minor = subprocess.run([PYTHON, "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True,
                           check=False).stdout.strip()
    if minor != str(sys.version_info[1]):
        pytest.skip(f"{PYTHON} is another Python than the one that Glance is installed for")
    fresh_root.mount(cloud.directory)
    fresh_root.run(PYTHON, "-m", "venv", "--without-pip", "/opt/glance")
    library = fresh_root.inside(f"/opt/glance/lib/python3.{minor}/site-packages")
    packages = next(Path(sys.prefix).glob("lib/python3*/site-packages"))
    (library / "packages.pth").write_text(f"{packages}\n")
    program = fresh_root.inside("/usr/local/bin/glance-manage")
    program.write_text("#!/opt/glance/bin/python\nfrom glance.cmd.manage import main\nmain()\n")
    program.chmod(0o755)
    _lay_out_glance(fresh_root, cloud)
    for name in ("old", "new"):
        for part in PARTS:
            copy = shutil.copytree if (SOURCE / part).is_dir() else shutil.copy
            target = fresh_root.inside(f"/src/{name}/{part}")
            target.parent.mkdir(parents=True, exist_ok=True)
            copy(SOURCE / part, target)
    newest = sorted(fresh_root.inside("/src/old/glancesync/db/migrations/versions").glob("0*.py"))[-1]
    newest.unlink()
    for name, user in SECRETS.items():
        fresh_root.inside(f"/src/{name}-password").write_text(cloud.state.passwords[user] + "\n")
    return fresh_root


def _lay_out_glance(root: FreshRoot, cloud: Lab) -> None:
    folder = root.inside("/etc/glance")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    region = cloud.directory / cloud.cascading_region
    conf = (region / "glance-api.conf").read_text().replace(str(region / "glance-api-paste.ini"),
                                                            "/etc/glance/glance-api-paste.ini")
    (folder / "glance-api.conf").write_text("# Glance's own comment\n" + conf + "\n# the last line, without an end")
    shutil.copy(region / "schema-image.json", folder)
    shutil.copy(installed_paste_file(Path(sys.executable)), folder / "glance-api-paste.ini")
    for name in ("glance-api.conf", "glance-api-paste.ini"):
        (folder / name).chmod(0o640)
        os.utime(folder / name, ns=(10**18, 10**18))


def install(host: FreshRoot, source: str, *more: str, status: int = 0) -> str:
    return host.run("bash", f"/src/{source}/installation/install.sh", "--cascading-region", "RegionOne",
                    "--service-password-file", "/src/service-password", "--events-password-file",
                    "/src/events-password", "--glance-user", "root", *more, status=status, PYTHON=PYTHON)


def uninstall(host: FreshRoot, *more: str, status: int = 0) -> str:
    return host.run("bash", "/src/new/installation/uninstall.sh", *more, status=status, PYTHON=PYTHON)


def test_the_whole_life(host: FreshRoot, cloud: Lab) -> None:
    before = host.tree()
    assert "--glance-conf" in install(host, "old", "--glance-conf", "/nowhere", status=2)
    assert "would change /etc/glance/glance-api-paste.ini" in install(host, "old", "--dry-run")
    assert "not installed" in uninstall(host, status=2)
    assert _differences(before, host.tree()) == {}

    secret = cloud.state.passwords["glance-sync-events"]
    said = install(host, "old")
    assert "systemctl enable --now glance-sync.service" in said
    assert secret not in said
    assert "2. Restart glance-api" in said
    installed = host.tree()
    again = install(host, "old")
    assert "Nothing to change" in again, again
    assert _differences(installed, host.tree()) == {}
    assert host.run(PROGRAM, "--config-file", CONF, "db", "version").strip() != migrate.head()

    assert "upgrade check" in install(host, "new")
    assert host.run(PROGRAM, "--config-file", CONF, "db", "version").strip() == migrate.head()
    assert host.run(PROGRAM, "--config-file", CONF, "upgrade", "check")
    version = version_of(host.inside("/src/new"))
    assert sorted(path.name for path in host.inside("/opt/glance-sync").iterdir()) == [
        "bin", f"environment-{version}", "filter", f"filter-{version}"]
    again = install(host, "new")
    assert "Nothing to change" in again, again
    _assert_modes(host)

    _use(host, cloud)

    kept = uninstall(host)
    assert "restored /etc/glance/glance-api.conf" in kept
    assert "restored /etc/glance/glance-api-paste.ini" in kept
    assert f"kept {CONF}: it was changed since" in kept
    assert "kept /var/lib/glance-sync: it is not empty" in kept
    uninstall(host, "--purge")
    assert _differences(before, host.tree()) == {}


def test_with_the_systems_packages(host: FreshRoot, cloud: Lab) -> None:
    """The server's environment sees what the system's Python has, and holds the rest."""
    before = host.tree()
    install(host, "new", "--system-packages")
    [environment] = host.inside("/opt/glance-sync").glob("environment-*")
    assert environment.name.endswith("-system")
    assert "include-system-site-packages = true" in (environment / "pyvenv.cfg").read_text()
    assert host.run(PROGRAM, "--config-file", CONF, "db", "version").strip() == migrate.head()
    assert "Nothing to change" in install(host, "new", "--system-packages")
    uninstall(host, "--purge")
    assert _differences(before, host.tree()) == {}


def test_a_cascaded_glance(host: FreshRoot, cloud: Lab) -> None:
    """Only the store filter: Glance starts with it and is back to the letter without it. Ours is its last line here."""
    before = host.tree()
    given = ("bash", "/src/new/installation/install.sh", "--cascaded", "--glance-user", "root")
    assert "glancesync-store" in host.run(*given, "--dry-run", PYTHON=PYTHON)
    said = host.run(*given, PYTHON=PYTHON)
    assert "openstack role create glance_sync_store" in said
    installed = host.tree()
    assert "Nothing to change" in host.run(*given, PYTHON=PYTHON)
    assert _differences(installed, host.tree()) == {}
    assert not host.inside("/etc/glance-sync").exists()
    port = find_free_port(cloud.state.ports.values())
    configuration = host.inside("/etc/glance") / "gunicorn.conf.py"
    configuration.write_text(f'wsgi_app = "{APPLICATION}"\nbind = "127.0.0.1:{port}"\nworker_class = "gthread"\n'
                             "threads = 4\ncontrol_socket_disable = True\n")
    with _running(host, f"http://127.0.0.1:{port}/healthcheck", "/opt/glance/bin/python", "-m", "gunicorn", "-c",
                  "/etc/glance/gunicorn.conf.py", OS_GLANCE_CONFIG_DIR="/etc/glance"):
        image = Images(cloud.session("demo"), f"http://127.0.0.1:{port}").create("through the filter", b"bytes")
        assert image["status"] == "active"
    configuration.unlink()
    said = uninstall(host)
    assert "restored /etc/glance/glance-api-paste.ini" in said
    assert _differences(before, host.tree()) == {}


def _differences(before: dict[str, tuple[object, ...]],
                 after: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, object]]:
    """By path, before and after; what was not in the layer before was as this machine has it."""
    found = {}
    for name in before.keys() | after.keys():
        below = Path("/", name)
        was = before[name] if name in before else state_of(below) if os.path.lexists(below) else None
        now = after[name] if name in after else state_of(below) if os.path.lexists(below) else None
        if was != now:
            found[name] = (was, now)
    return found


def _assert_modes(host: FreshRoot) -> None:
    wanted = {"/etc/glance-sync": "750 root:glance-sync", CONF: "640 root:glance-sync",
              "/var/lib/glance-sync": "700 glance-sync:glance-sync",
              "/var/lib/glance-sync/glance-sync.db": "600 glance-sync:glance-sync",
              "/var/log/glance-sync": "750 glance-sync:glance-sync",
              "/var/lib/glance-sync-installation": "700 root:root", "/etc/glance/glance-api.conf": "640 root:root"}
    for path, mode in wanted.items():
        assert host.run("stat", "-c", "%a %U:%G", path).strip() == mode, path


def _use(host: FreshRoot, cloud: Lab) -> None:
    """The administrator's changes, the server by its unit's command, Glance with the filter, an image everywhere."""
    port, glance_port = cloud.state.ports["server"], find_free_port(cloud.state.ports.values())
    conf, glance_conf = host.inside(CONF), host.inside("/etc/glance/glance-api.conf")
    conf.write_text(conf.read_text().replace("[DEFAULT]\n", f"[DEFAULT]\nbind_port = {port}\n", 1))
    glance_conf.write_text(glance_conf.read_text().replace("[glance_sync]\n",
                                                           f"[glance_sync]\nsync_server_port = {port}\n"))
    (host.inside("/etc/glance") / "gunicorn.conf.py").write_text(
        f'wsgi_app = "{APPLICATION}"\nbind = "127.0.0.1:{glance_port}"\nworker_class = "gthread"\nthreads = 4\n'
        "control_socket_disable = True\n")
    unit = host.inside("/etc/systemd/system/glance-sync.service").read_text()
    start = next(line for line in unit.splitlines() if line.startswith("ExecStart=")).partition("=")[2].split()
    with (_running(host, f"http://127.0.0.1:{port}/healthcheck", "runuser", "-u", "glance-sync", "--", *start),
          _running(host, f"http://127.0.0.1:{glance_port}/healthcheck", "/opt/glance/bin/python", "-m", "gunicorn",
                   "-c", "/etc/glance/gunicorn.conf.py", OS_GLANCE_CONFIG_DIR="/etc/glance")):
        users = Images(cloud.session("demo"), f"http://127.0.0.1:{glance_port}")
        _arrives(users, cloud, "first")
        log = host.inside("/var/log/glance-sync/glance-sync.log")
        eventually(lambda: "done, in_sync" in log.read_text(), 30, what="the log tells of it")
        if host.inside("/usr/sbin/logrotate").exists():
            host.run("/usr/sbin/logrotate", "--force", "--state", "/run/rotated", "/etc/logrotate.d/glance-sync")
        else:
            log.rename(log.with_name("glance-sync.log.1"))
        _arrives(users, cloud, "second")
        eventually(lambda: log.exists() and "done, in_sync" in log.read_text(), 30, what="the log is written anew")
    (host.inside("/etc/glance") / "gunicorn.conf.py").unlink()


def _arrives(users: Images, cloud: Lab, name: str) -> None:
    image_id = str(users.create(name, b"bytes of " + name.encode())["id"])
    there = Images(cloud.session("admin"), cloud.endpoint("RegionTwo"))

    def is_there() -> bool:
        return any(image["id"] == image_id and image["status"] == "active" and image["os_hidden"] is False
                   and image["name"] == name for image in there.list(visibility="all"))

    eventually(is_there, 90, every_seconds=0.5, what=f"{name} is in RegionTwo")


@contextlib.contextmanager
def _running(host: FreshRoot, url: str, *arguments: str, **variables: str) -> Iterator[None]:
    log = host.inside("/run/running.log")
    with log.open("ab") as output:
        process = subprocess.Popen(host.command(*arguments, **variables), stdout=output, stderr=output,
                                   start_new_session=True)

    def is_up() -> bool:
        assert process.poll() is None, log.read_text()[-4000:]
        try:
            return requests.get(url, timeout=2).ok
        except requests.RequestException:
            return False

    try:
        eventually(is_up, 90, what=f"{arguments[-1]} answers")
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
