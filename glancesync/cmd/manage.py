# SPDX-License-Identifier: Apache-2.0
"""`glance-sync-manage`: what the host's administrator does, without the server's API."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from glancesync import conf as options
from glancesync.db.engine import Database
from glancesync.exceptions import ConfigurationError, GlanceSyncError


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 1 failed, 2 wrong usage or configuration."""
    given = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    try:
        conf = options.parse([f"--config-file={given.config_file}"] if given.config_file else [],
                             prog="glance-sync-manage")
        return given.run(options.read_settings(conf))
    except ConfigurationError as error:
        print(f"glance-sync-manage: {error}", file=sys.stderr)
        return 2
    except GlanceSyncError as error:
        print(f"glance-sync-manage: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="glance-sync-manage", description="Administers a sync server on its host.",
                                     epilog="Exit status: 0 done, 1 failed, 2 wrong usage or configuration.")
    parser.add_argument("--config-file", metavar="FILE", help="the server's configuration (default: where oslo.config "
                        "looks: ~/.glance-sync, ~, /etc/glance-sync, /etc; glance-sync.conf)")
    groups = parser.add_subparsers(metavar="GROUP", required=True)
    database = groups.add_parser("db", help="the server's database").add_subparsers(metavar="COMMAND", required=True)
    sync = database.add_parser("sync", help="create the tables or bring them to this version's state")
    sync.set_defaults(run=_db_sync)
    version = database.add_parser("version", help="print the migration that the database is at")
    version.set_defaults(run=_db_version)
    return parser


def _db_sync(settings: options.Settings) -> int:
    database = Database(settings.server.connection)
    before = database.version()
    database.sync()
    after = database.version()
    print(f"the database is at {after}" + ("" if before == after else f", it was at {before or 'nothing'}"))
    return 0


def _db_version(settings: options.Settings) -> int:
    version = Database(settings.server.connection).version()
    print(version or "empty: run `glance-sync-manage db sync`")
    return 0 if version else 1


if __name__ == "__main__":
    sys.exit(main())
