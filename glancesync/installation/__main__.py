# SPDX-License-Identifier: Apache-2.0
"""`python -m glancesync.installation install|uninstall`: what install.sh and uninstall.sh run."""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from glancesync.installation import edits
from glancesync.installation.changes import Change
from glancesync.installation.checks import problems
from glancesync.installation.facts import Facts, find_glance_python, look
from glancesync.installation.layout import UNIT, Layout, Request
from glancesync.installation.manifest import Manifest
from glancesync.installation.plan import changes
from glancesync.installation.removal import remove
from glancesync.installation.system import InstallationError, run


def main(arguments: Sequence[str] | None = None, layout: Layout | None = None) -> int:
    """0 done, or nothing to do; 1 it broke off; 2 wrong usage, or a check failed and nothing was changed."""
    given = _parser().parse_args(arguments)
    os.umask(0o022)
    try:
        return _install(given, layout or Layout()) if given.verb == "install" else _uninstall(given, layout or Layout())
    except (InstallationError, OSError) as error:
        print(f"broke off: {error}\nRun it again when the cause is gone; what was done is not done twice, and "
              "uninstall.sh takes it back.", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="", description="Puts glance-sync on this host, or takes it back.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    _add_install(verbs)
    uninstall = verbs.add_parser("uninstall", prog="uninstall.sh", description="Takes back what install.sh changed.")
    uninstall.add_argument("--dry-run", action="store_true", help="print what would be done, do nothing")
    uninstall.add_argument("--purge", action="store_true", help="also the configuration, the database and the logs")
    return parser


def _add_install(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    install = verbs.add_parser("install", prog="install.sh", description="Installs or upgrades the sync server, and "
                               "the filter in glance-api's Python. Nothing is changed while a check fails.")
    install.add_argument("--dry-run", action="store_true", help="print every change, make none")
    install.add_argument("--source", type=Path, required=True, help=argparse.SUPPRESS)
    install.add_argument("--python", type=Path, default=Path(sys.executable), help=argparse.SUPPRESS)
    install.add_argument("--system-packages", action="store_true", help="let the server use the packages of the "
                         "system's Python and install only those that are missing (default: an environment of its own)")
    what = install.add_mutually_exclusive_group()
    what.add_argument("--no-filter", dest="with_filter", action="store_false", help="leave Glance alone: its hosts are "
                      "others")
    what.add_argument("--cascaded", action="store_true", help="no server: only the filter that lets the glance-api of "
                      "a cascaded region take files of its own store (docs/stores.md)")
    _add_glance(install)
    install.add_argument("--cascading-region", metavar="REGION", help="the region that users write to")
    install.add_argument("--auth-url", metavar="URL", help="Keystone (default: as in glance-api.conf)")
    install.add_argument("--service-password-file", type=Path, metavar="FILE", help="holds the password of the user "
                         "glance-sync")
    install.add_argument("--events-password-file", type=Path, metavar="FILE", help="holds the password of the user "
                         "glance-sync-events; without it the filter stays off")


def _add_glance(install: argparse.ArgumentParser) -> None:
    install.add_argument("--glance-conf", type=Path, default=Path("/etc/glance/glance-api.conf"), metavar="FILE",
                         help="default %(default)s")
    install.add_argument("--glance-paste", type=Path, metavar="FILE", help="default: config_file of [paste_deploy], or "
                         "glance-api-paste.ini beside glance-api.conf")
    install.add_argument("--glance-python", type=Path, metavar="FILE", help="the Python that runs glance-api (default: "
                         "that of glance-manage)")
    install.add_argument("--glance-user", default="glance", metavar="NAME", help="who runs glance-api (default glance)")
    install.add_argument("--outbox", type=Path, default=Path("/var/lib/glance/glance-sync-outbox"), metavar="DIR",
                         help="where the filter keeps its events (default %(default)s)")


def _install(given: argparse.Namespace, layout: Layout) -> int:
    request = _request(given)
    facts = look(layout, request)
    found = problems(facts, request)
    if found:
        print("Nothing was changed:\n" + "\n".join(f"- {each}" for each in found), file=sys.stderr)
        return 2
    wanted = [change for change in changes(layout, request, facts) if not change.is_done()]
    if not wanted:
        print("Nothing to change: this version is installed.")
        return 0
    if given.dry_run:
        print("\n".join(f"would {change.describe()}" for change in wanted))
        return 0
    _apply(wanted, Manifest(layout.record))
    print(next_steps_cascaded() if request.cascaded else next_steps(layout, request, facts))
    return 0


def _apply(wanted: Sequence[Change], manifest: Manifest) -> None:
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for change in wanted:
        if not change.is_done():
            print(change.describe(), flush=True)
            change.apply(manifest, stamp)


def _uninstall(given: argparse.Namespace, layout: Layout) -> int:
    manifest = Manifest(layout.record)
    if os.geteuid() != 0 or not manifest.entries:
        print("Nothing was changed: " + ("it is not installed here" if os.geteuid() == 0 else "not root"),
              file=sys.stderr)
        return 2
    systemd = Path("/run/systemd/system").is_dir() and layout.unit.exists() and not given.dry_run
    if systemd:
        run(["systemctl", "disable", "--now", UNIT])
    for line in remove(manifest, purge=given.purge, dry_run=given.dry_run):
        print(f"would have: {line}" if given.dry_run else line, flush=True)
    if systemd:
        run(["systemctl", "daemon-reload"])
    print("Restart glance-api: it still runs with the filter.")
    return 0


def next_steps(layout: Layout, request: Request, facts: Facts) -> str:
    """What is left to do, in words."""
    steps = []
    if "CHANGE-ME" in layout.config.read_text("utf-8"):
        steps.append(f"Put the service user's password, and what else differs, into {layout.config}.")
    steps.append(f"Start the server: systemctl enable --now {UNIT}")
    if request.with_filter and facts.glance_conf is not None:
        conf = request.glance_conf.read_text("utf-8")
        if edits.get(conf, edits.SECTION, "sync_enabled") != "true":
            steps.append(f"Put the password of glance-sync-events into [glance_sync] of {request.glance_conf} and set "
                         "sync_enabled = true.")
        if not (edits.get(conf, "paste_deploy", "flavor") or "").startswith("keystone"):
            steps.append(f"{request.glance_conf} names no flavor of [paste_deploy] that begins with keystone: the "
                         "filter is in those pipelines. Look whether another of Glance's files does.")
        steps.append("Restart glance-api, as you always do.")
    steps.append("See what it does: openstack image sync region list")
    return "Next:\n" + "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def next_steps_cascaded() -> str:
    """What is left to do beside the store filter, in words."""
    role = edits.STORE.options["role"]
    return "\n".join([
        "Next:", f"1. Once for the cloud: openstack role create {role}; openstack role add --project service "
        f"--user glance-sync {role}. Nobody else may have it.", "2. Restart glance-api, as you always do.",
        "3. Name this region's store in glance_store.yaml on the sync server's host, and try it there: "
        "glance-sync-manage store check"])


def _request(given: argparse.Namespace) -> Request:
    fields = {name: getattr(given, name) for name in (
        "source", "python", "glance_conf", "glance_user", "outbox", "system_packages", "with_filter",
        "cascaded", "cascading_region", "auth_url")}
    return Request(**fields, glance_paste=given.glance_paste or _paste_of(given.glance_conf),
                   glance_python=given.glance_python or find_glance_python(),
                   service_password=_secret(given.service_password_file),
                   events_password=_secret(given.events_password_file))


def _paste_of(glance_conf: Path) -> Path:
    """Where Glance finds its pipelines. A file that cannot be read is a check's business."""
    beside = glance_conf.with_name("glance-api-paste.ini")
    try:
        named = edits.get(glance_conf.read_text("utf-8"), "paste_deploy", "config_file")
    except (OSError, UnicodeDecodeError, edits.EditError):
        return beside
    return glance_conf.parent / named if named else beside


def _secret(path: Path | None) -> str | None:
    return path.read_text("utf-8").strip() if path else None


if __name__ == "__main__":
    sys.exit(main())
