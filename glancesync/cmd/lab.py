# SPDX-License-Identifier: Apache-2.0
"""`glance-sync-lab up|status|down|demo`: a real cloud of several regions on this machine."""
from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from keystoneauth1.exceptions import ClientException
from rich.console import Console
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from glancesync.lab.cloud import Lab, default_directory
from glancesync.lab.credentials import clouds_path, openrc_path
from glancesync.lab.demo import run_demo
from glancesync.lab.errors import LabError
from glancesync.lab.state import DATABASES, LabOptions

_LAB_OPTIONS = ("regions", "database", "token_expiration_seconds", "glance_environment", "notifications_url",
                "http_stores", "store_filter", "servers", "sync_database")
DATABASE_VARIABLE = "GLANCE_SYNC_LAB_DATABASE"
PLAIN_COLUMNS = 120  # of the tables where the output is no terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when it did what was asked, 1 when not, 2 for a wrong command line."""
    options = _parser().parse_args(arguments)
    lab = Lab(options.dir)
    try:
        return int(options.run(lab, options))
    except (LabError, ClientException) as error:
        print(f"glance-sync-lab: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="glance-sync-lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start what does not run yet")
    up.set_defaults(run=_up)
    up.add_argument("--no-server", action="store_true", help="start no sync server")
    status = commands.add_parser("status", help="show every service; status 1 unless all are ready")
    status.set_defaults(run=_status)
    down = commands.add_parser("down", help="end every process and remove the directory")
    down.set_defaults(run=_down)
    down.add_argument("--keep", action="store_true", help="leave the directory with its logs")
    demo = commands.add_parser("demo", help="show the main job happening; status 0 only if all regions agree")
    demo.set_defaults(run=_demo, no_filter=False)
    demo.add_argument("--once", action="store_true", help="end the cloud afterwards")
    for command in (up, status, down, demo):
        command.add_argument("--dir", type=Path, default=default_directory(), help="where all of it lies (%(default)s)")
    up.add_argument("--servers", type=int,
                    help="sync servers, which share the work; the filter reports to the first (1)")
    up.add_argument("--sync-database", type=_url, metavar="URL", default=os.environ.get(DATABASE_VARIABLE),
                    help="an empty PostgreSQL or MariaDB database for them, as SQLAlchemy writes it; a URL with a "
                         f"password comes in the variable {DATABASE_VARIABLE} (an SQLite file)")
    up.add_argument("--no-filter", action="store_true", help="leave the cascading Glance without the filter")
    for command in (up, demo):
        _add_options(command)
    return parser


def _add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--regions", type=int, help="2 to 8, the first is the cascading one (3)")
    command.add_argument("--database", choices=DATABASES, help="where Keystone and Glance keep their rows (sqlite)")
    command.add_argument("--token-expiration-seconds", type=int, help="life of a Keystone token (3600)")
    command.add_argument("--notifications-url", metavar="URL",
                         help="message broker that the Glances notify, as oslo.messaging writes it (none)")
    command.add_argument("--http-stores", type=int, metavar="N",
                         help="so many regions, from the first on, take http URLs for locations (0)")
    command.add_argument("--store-filter", action="store_true", default=None,
                         help="let the cascaded Glances take files of their own stores")
    command.add_argument("--glance-environment", type=_absolute, metavar="DIR",
                         help="virtual environment that holds the Glance to run, and this package (pip install "
                              "--no-deps); by default the one of this command")


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def _url(text: str) -> str:
    """On a command line everybody on the host would read a password."""
    try:
        password = make_url(text).password
    except ArgumentError as error:
        raise argparse.ArgumentTypeError("not a database URL as SQLAlchemy writes it") from error
    if password is not None and text != os.environ.get(DATABASE_VARIABLE):
        raise argparse.ArgumentTypeError(f"holds a password; give it in the variable {DATABASE_VARIABLE}")
    return text


def _lab_options(lab: Lab, options: argparse.Namespace) -> LabOptions:
    """What is not named stays as it is in a lab that stands."""
    given = {name: getattr(options, name, None) for name in _LAB_OPTIONS}
    known = vars(lab.state.options) if lab.exists else {}
    chosen = known | {name: value for name, value in given.items() if value is not None}
    return LabOptions(**chosen | {"with_filter": not options.no_filter})


def _up(lab: Lab, options: argparse.Namespace) -> int:
    lab.up(_lab_options(lab, options), with_server=not options.no_server)
    _status(lab, options)
    print(f"\ncredentials: {openrc_path(lab.directory)} (admin), {clouds_path(lab.directory)} (admin, demo, rival)")
    print(f"export PATH={Path(sys.prefix) / 'bin'}:$PATH OS_CLIENT_CONFIG_FILE={clouds_path(lab.directory)}")
    return 0


def _demo(lab: Lab, options: argparse.Namespace) -> int:
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_COLUMNS)
    started = time.monotonic()
    with console.status("starting Keystone, Glance and the sync server") if console.is_terminal else nullcontext():
        lab.up(_lab_options(lab, options))
    console.print(f"Keystone, {len(lab.regions)} Glances and the sync server stand after "
                  f"{time.monotonic() - started:.0f} s", highlight=False)
    return 0 if run_demo(lab, console, once=options.once) else 1


def _status(lab: Lab, _options: argparse.Namespace) -> int:
    services = lab.status()
    if not services:
        print(f"no lab in {lab.directory}")
        return 1
    for service in services:
        state = "ready" if service.ready else "not ready" if service.pid else "down"
        print(f"{service.name:<12} {state:<10} {service.pid or '-':>8}  {service.url:<32} {service.log_path}")
    return 0 if all(service.ready for service in services) else 1


def _down(lab: Lab, options: argparse.Namespace) -> int:
    if not lab.exists:
        print(f"no lab in {lab.directory}")
    lab.down(keep=options.keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
