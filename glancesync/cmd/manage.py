# SPDX-License-Identifier: Apache-2.0
"""`glance-sync-manage`: what the host's administrator does, without the server's API."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from oslo_config import cfg

from glancesync import conf as options
from glancesync.cmd import comparing, config_show, database_copy, region_commands, store_commands, upgrade
from glancesync.cmd.build import Server, build
from glancesync.db.engine import Database
from glancesync.exceptions import ConfigurationError, GlanceSyncError
from glancesync.model.replica import ConflictChoice
from glancesync.model.text import inert
from glancesync.service.conflicts import Chosen
from glancesync.service.views import ImageViews

_PAGE = 100
Command = Callable[[cfg.ConfigOpts, argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 1 failed (or, with --dry-run, there is something to do), 2 wrong usage or configuration."""
    given = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    files = [f"--config-file={given.config_file}"] if given.config_file else []
    try:
        if given.run is _upgrade_check:  # it tells what is wrong with the configuration among other things
            return upgrade.check(files, prog="glance-sync-manage")
        conf = options.parse(files, prog="glance-sync-manage")
        return int(given.run(conf, given))
    except ConfigurationError as error:
        print(f"glance-sync-manage: {inert(str(error))}", file=sys.stderr)
        return 2
    except GlanceSyncError as error:
        print(f"glance-sync-manage: {inert(str(error))}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="glance-sync-manage", description="Administers a sync server on its host.",
        epilog="Exit status: 0 done, 1 failed or something to do, 2 wrong usage or configuration.")
    parser.add_argument("--config-file", metavar="FILE", help="the server's configuration (default: where oslo.config "
                        "looks: ~/.glance-sync, ~, /etc/glance-sync, /etc; glance-sync.conf)")
    groups = parser.add_subparsers(metavar="GROUP", required=True)
    database = _group(groups, "db", "the server's database")
    _command(database, "sync", "create the tables or bring them to this version's state", _db_sync)
    _command(database, "version", "print the migration that the database is at", _db_version)
    copy = _command(database, "copy", "take all that servers know to the empty database of another configuration, "
                    "while none of them works", database_copy.copy)
    copy.add_argument("--to-config-file", required=True, metavar="FILE",
                      help="a configuration whose [database] connection is the new one")
    _add_config(groups)
    deletion = _group(groups, "deletion", "the brake on deletions")
    _command(deletion, "status", "say whether deletions are held, and why; exit status 1 when they are",
             _deletion_status)
    _command(deletion, "release", "let deletions go on; the window of max_deletes begins anew", _deletion_release)
    source = _group(groups, "source", "the cascading Glance")
    _command(source, "accept", "believe the cascading Glance as it is now: its identity, its number of images, and a "
             "new canary image if the old one is gone", _source_accept)
    _add_region(groups)
    _add_store(groups)
    _add_conflict(groups)
    image = _command(_group(groups, "image", "what is known of one image"), "show",
                     "print an image's state, replica id and digest in each region", _image_show)
    image.add_argument("id", help="the image's id, or that of one of its replicas")
    comparing.add_arguments(_command(groups, "reconcile", "compare all images of all regions and queue what differs",
                                     _of(comparing.reconcile)))
    return parser


def _add_region(groups: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    region = _group(groups, "region", "the regions")
    _command(region, "list", "print each with its endpoint and the number of images by state",
             _of(region_commands.print_list))
    _command(region, "status", "say of each whether it is seen whole, and whether replicas take new ids there; exit "
             "status 1 when one has a problem", _of(region_commands.print_status))
    show = _command(region, "show", "print what is known of one, as JSON", _of(region_commands.print_one))
    freeze = _command(region, "freeze", "have nothing written to it: its tasks wait, reads go on",
                      _of(region_commands.freeze))
    freeze.add_argument("--reason", help="why; shown wherever the region's tasks are")
    thaw = _command(region, "thaw", "let a frozen one's tasks go on", _of(region_commands.thaw))
    release = _command(region, "release", "let replicas take new ids there again (the window of max_new_ids begins "
                       "anew), and look whether it is seen whole", _of(region_commands.release))
    for each in (show, freeze, thaw, release):
        each.add_argument("name", help="the region's name")


def _add_store(groups: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    store = _group(groups, "store", "the stores of glance_store.yaml")
    _command(store, "check", "log in to each host, and try its tools, room, rights and speed; exit status 1 when a "
             "store cannot be used", _of(store_commands.check))
    explain = _command(store, "explain", "print the ways that an image's bytes can take to a region, best first, each "
                       "with why it is not taken", _of(store_commands.explain))
    explain.add_argument("image_id", help="the image's id")
    explain.add_argument("region", help="the cascaded region")


def _of(command: Callable[[Server, argparse.Namespace], int]) -> Command:
    return lambda conf, given: command(_open(conf), given)


def _add_config(groups: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    config = _command(_group(groups, "config", "the server's configuration"), "show", "print every option of this "
                      "program and those of its libraries that are set, each with where it comes from; secrets are "
                      "hidden", _config_show)
    config.add_argument("--all", action="store_true", dest="everything", help="the libraries' defaults as well")
    _command(_group(groups, "upgrade", "an upgrade to this version"), "check", "say what it would meet: configuration, "
             "database, policy file, modes of files, packages; exit status 0 all is well, 1 look at something, 2 do "
             "not go on", _upgrade_check)


def _add_conflict(groups: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    conflict = _group(groups, "conflict", "images that stand in a replica's way")
    listing = _command(conflict, "list", "print them page by page, each with what differs", _conflict_list)
    listing.add_argument("--region", help="only those of this cascaded region")
    choose = _command(conflict, "choose", "decide what becomes of one; the server does it soon after", _conflict_choose)
    choose.add_argument("image_id", help="the image that has a conflict")
    choose.add_argument("region", help="the cascaded region that it has it in")
    choose.add_argument("choice", choices=[each.value for each in ConflictChoice], help="leave the image out of this "
                        "region, delete the image in the way, or have both")
    choose.add_argument("--replica-id", help="the image in the way that was looked at; another one is refused")


def _group(groups: argparse._SubParsersAction[argparse.ArgumentParser], name: str,
           help_text: str) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    return groups.add_parser(name, help=help_text, description=help_text).add_subparsers(metavar="COMMAND",
                                                                                       required=True)


def _command(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help_text: str,
             run: Command) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help_text, description=help_text)
    parser.set_defaults(run=run)
    return parser


def _db_sync(conf: cfg.ConfigOpts, _given: argparse.Namespace) -> int:
    database = Database(options.read_settings(conf).server.connection)
    before = database.version()
    database.sync()
    after = database.version()
    print(f"the database is at {after}" + ("" if before == after else f", it was at {before or 'nothing'}"))
    return 0


def _db_version(conf: cfg.ConfigOpts, _given: argparse.Namespace) -> int:
    version = Database(options.read_settings(conf).server.connection).version()
    print(version or "empty: run `glance-sync-manage db sync`")
    return 0 if version else 1


def _config_show(conf: cfg.ConfigOpts, given: argparse.Namespace) -> int:
    files = [f"--config-file={given.config_file}"] if given.config_file else []
    return config_show.show(conf, files, everything=given.everything)


def _upgrade_check(_conf: cfg.ConfigOpts, given: argparse.Namespace) -> int:
    return upgrade.check([f"--config-file={given.config_file}"] if given.config_file else [],
                         prog="glance-sync-manage")


def _open(conf: cfg.ConfigOpts) -> Server:
    server = build(conf)
    server.database.open()
    server.directory.load()
    return server


def _image_show(conf: cfg.ConfigOpts, given: argparse.Namespace) -> int:
    database = Database(options.read_settings(conf).server.connection)
    database.open()
    image = ImageViews(database).get_image(given.id)
    name = inert(image["name"] or "(no name)")
    print(f"{image['id']}  {name}  {image['status'] or 'unknown'}  owner {image['owner'] or '-'}")
    for region in image["regions"]:
        digest = region["digest"]
        print(f"  {inert(region['region'])}: {region['state']} as {region['replica_id'] or '-'}"
              + (f" ({region['id_reason']})" if region["id_reason"] else "")
              + (f", {digest['algorithm']} {digest['value'][:16]}..." if digest else "")
              + (f", {inert(region['reason'])}" if region["reason"] else ""))
    return 0


def _deletion_status(conf: cfg.ConfigOpts, _given: argparse.Namespace) -> int:
    trust = _open(conf).trust.look()
    for line in (trust.problem, trust.latch):
        if line:
            print(inert(line))
    if trust.problem or trust.latch:
        return 1
    print("deletions are not held")
    return 0


def _deletion_release(conf: cfg.ConfigOpts, _given: argparse.Namespace) -> int:
    held = _open(conf).trust.brake.release()
    print("deletions go on; the server takes up those that were held at its next comparison" if held
          else "deletions were not held; the window of max_deletes begins anew")
    return 0


def _source_accept(conf: cfg.ConfigOpts, _given: argparse.Namespace) -> int:
    server = _open(conf)
    server.trust.accept()
    region = server.directory.cascading()
    print(f"the cascading Glance is {region.endpoint} in {inert(region.name)}, as it is now")
    return 0


def _conflict_list(conf: cfg.ConfigOpts, given: argparse.Namespace) -> int:
    service, marker = _open(conf).service, None
    filters = {"region": given.region} if given.region else {}
    while rows := service.list_conflicts(limit=_PAGE, marker=marker, filters=filters):
        for row in rows:
            differs = ", ".join(each["field"] for each in row["differences"])
            print(f"{row['image_id']}  {inert(row['region'])}  {row['reason_code']}: {row['replica_id'] or '-'} is in "
                  f"the way, differs in {inert(differs)}" + (f"; chosen: {row['choice']}" if row["choice"] else ""))
        marker = rows[-1]["id"]
    return 0


def _conflict_choose(conf: cfg.ConfigOpts, given: argparse.Namespace) -> int:
    _open(conf).service.choose(given.image_id, given.region, Chosen(
        choice=ConflictChoice(given.choice), stranger_id=given.replica_id, user_id=None, request_id=None))
    print(f"chosen for {inert(given.image_id)} in {inert(given.region)}: {given.choice}; the server does it soon")
    return 0


if __name__ == "__main__":
    sys.exit(main())
