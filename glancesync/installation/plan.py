# SPDX-License-Identifier: Apache-2.0
"""The changes of an installation, in order, from what was asked for and what was found. Called by `__main__`."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from glancesync.installation import edits
from glancesync.installation.changes import Change, Command, Directory, Edit, File, Link, User
from glancesync.installation.facts import Facts, Python
from glancesync.installation.layout import UNIT, USER, Layout, Request
from glancesync.installation.programs import Build, DropOthers, version_of

_ROTATION = """# Put here by glance-sync's install.sh. The server opens its log anew by itself when it was moved.
{folder}/*.log {{
    weekly
    rotate 8
    compress
    delaycompress
    missingok
    notifempty
    su {user} {user}
}}
"""


def changes(layout: Layout, request: Request, facts: Facts) -> list[Change]:
    """All of them, those that are done as well."""
    version = version_of(request.source)
    environment = layout.programs / f"environment-{version}{'-system' if request.system_packages else ''}"
    code = layout.programs / f"filter-{version}"
    if request.cascaded:
        return [Directory(path=layout.programs, mode=0o755), *_store_filter(layout, request, facts, code),
                DropOthers(parent=layout.programs, keep=(code,), patterns=("filter-*",))]
    build = Build(path=environment, source=request.source, python=request.python,
                  system_packages=request.system_packages)
    link = Link(path=layout.programs / "bin", target=f"{environment.name}/bin")
    steps: list[Change] = [
        User(name=USER, home=layout.state),
        Directory(path=layout.config.parent, mode=0o750, group=USER),
        Directory(path=layout.state, mode=0o700, owner=USER, group=USER),
        Directory(path=layout.logs, mode=0o750, owner=USER, group=USER),
        Directory(path=layout.programs, mode=0o755),
        build,
        File(path=layout.config, text=server_configuration(layout, request, facts), mode=0o640, group=USER, keep=True),
        *_check(layout, environment, facts, link),
        *_stop(facts, build),
        link,
        _migrate(layout, environment),
        File(path=layout.rotation, text=rotation(layout)),
        *_unit(layout, request, facts),
        *_start(facts, build)]
    if request.with_filter:
        steps += _filter(layout, request, facts, code)
    return [*steps, DropOthers(parent=layout.programs, keep=(environment, code))]


def rotation(layout: Layout) -> str:
    """For logrotate."""
    return _ROTATION.format(folder=layout.logs, user=USER)


def server_configuration(layout: Layout, request: Request, facts: Facts) -> str:
    """The short example with what is known put in; Glance's own configuration tells Keystone's address."""
    values = {("DEFAULT", "log_file"): str(layout.logs / "glance-sync.log"),
              ("database", "connection"): f"sqlite:///{layout.state / 'glance-sync.db'}"}
    if request.cascading_region:
        values["DEFAULT", "cascading_region"] = request.cascading_region
    auth_url = request.auth_url or _auth_url_of(facts.glance_conf)
    for section in ("keystone", "keystone_authtoken"):
        if auth_url:
            values[section, "auth_url"] = auth_url
        if request.service_password:
            values[section, "password"] = request.service_password
    return edits.fill((request.source / "etc/glance-sync.conf").read_text("utf-8"), values)


def filter_options(request: Request, facts: Facts) -> dict[str, str]:
    """[glance_sync]. Without a password the filter is off: it would refuse Glance's start."""
    auth_url = request.auth_url or _auth_url_of(facts.glance_conf)
    return {
        "sync_enabled": "true" if request.events_password else "false",
        "outbox_path": str(request.outbox),
        "auth_type": "v3password",
        "auth_url": auth_url or "https://keystone.example:5000/v3",
        "username": "glance-sync-events",
        "password": (request.events_password or "CHANGE-ME").replace("$", "$$"),
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }


def _filter(layout: Layout, request: Request, facts: Facts, code: Path) -> Iterator[Change]:
    if facts.glance is None or facts.glance_conf is None or facts.glance_paste is None:
        raise ValueError("the checks come first")
    yield from _code(layout, request, facts.glance, code)
    yield Directory(path=request.outbox, mode=0o700, owner=request.glance_user, group=request.glance_user)
    yield Edit(path=request.glance_conf, text=edits.add_options(facts.glance_conf, filter_options(request, facts)))
    # Last: whatever breaks off before leaves a Glance that starts.
    yield Edit(path=request.glance_paste, text=edits.add_filter(facts.glance_paste))


def _store_filter(layout: Layout, request: Request, facts: Facts, code: Path) -> Iterator[Change]:
    if facts.glance is None or facts.glance_conf is None or facts.glance_paste is None:
        raise ValueError("the checks come first")
    yield from _code(layout, request, facts.glance, code)
    locked = edits.add_lock_path(facts.glance_conf, str(request.locks))
    if locked != facts.glance_conf or request.locks.exists():
        yield Directory(path=request.locks, mode=0o700, owner=request.glance_user, group=request.glance_user)
    yield Edit(path=request.glance_conf, text=locked)
    yield Edit(path=request.glance_paste, text=edits.add_filter(facts.glance_paste, edits.STORE))


def _code(layout: Layout, request: Request, glance: Python, code: Path) -> Iterator[Change]:
    """This package alone, on the path of Glance's Python."""
    yield Build(path=code, source=request.source, python=request.python, is_filter=True)
    link = layout.programs / "filter"
    yield Link(path=link, target=code.name)
    library = layout.root / glance.library.relative_to("/")
    yield File(path=library / "glance-sync-filter.pth", text=f"{link}\n")


def _check(layout: Layout, environment: Path, facts: Facts, link: Link) -> Sequence[Change]:
    """The new version looks at what the old one left, before anything of it is in force."""
    if not facts.is_installed:
        return []
    return [Command(arguments=_manage(layout, environment / "bin", "upgrade", "check"), good=(0, 1),
                    done=link.is_done(), what="ask the new version whether anything stands against it "
                    "(glance-sync-manage upgrade check)")]


def _migrate(layout: Layout, environment: Path) -> Change:
    return Command(arguments=_manage(layout, layout.programs / "bin", "db", "sync"), mark=environment / ".migrated",
                   what="bring the database to this version (glance-sync-manage db sync)")


def _manage(layout: Layout, folder: Path, *words: str) -> list[str]:
    return ["runuser", "-u", USER, "--", str(folder / "glance-sync-manage"), "--config-file", str(layout.config),
            *words]


def _unit(layout: Layout, request: Request, facts: Facts) -> Sequence[Change]:
    unit = File(path=layout.unit, text=(request.source / "installation/systemd" / UNIT).read_text("utf-8"))
    if not facts.systemd_runs:
        return [unit]
    return [unit, Command(arguments=["systemctl", "daemon-reload"], done=unit.is_done(),
                          what="have systemd read its units (systemctl daemon-reload)")]


def _stop(facts: Facts, build: Build) -> Sequence[Change]:
    if not (facts.systemd_runs and facts.server_runs) or build.is_done():
        return []
    return [Command(arguments=["systemctl", "stop", UNIT], what=f"stop the server (systemctl stop {UNIT})")]


def _start(facts: Facts, build: Build) -> Sequence[Change]:
    if not (facts.systemd_runs and facts.server_runs) or build.is_done():
        return []
    return [Command(arguments=["systemctl", "start", UNIT], what=f"start it again (systemctl start {UNIT})")]


def _auth_url_of(glance_conf: str | None) -> str | None:
    if glance_conf is None:
        return None
    return edits.get(glance_conf, "keystone_authtoken", "auth_url") or edits.get(
        glance_conf, "keystone_authtoken", "www_authenticate_uri")
