# SPDX-License-Identifier: Apache-2.0
"""`glance-sync-manage upgrade check`: what an upgrade to this version would meet. Called by `manage`.

By oslo.upgradecheck's rules: 0 all is well, 1 look at something, 2 do not go on. It changes nothing.
"""
from __future__ import annotations

import stat
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import sqlalchemy as sa
import yaml
from oslo_config import cfg
from oslo_upgradecheck.upgradecheck import Code, Result, UpgradeCommands
from oslo_utils import fileutils
from packaging.requirements import Requirement

from glancesync import conf as options
from glancesync.api.policies import list_rules, new_enforcer
from glancesync.conf.given import read_given
from glancesync.db import compat, migrate
from glancesync.db.engine import Database
from glancesync.exceptions import ConfigurationError, GlanceSyncError
from glancesync.model.text import inert

#: The oldest release of Glance that the filter is tried with.
OLDEST_GLANCE = 28


class Checks(UpgradeCommands):  # type: ignore[misc]
    """Each check looks by itself; one that cannot says why."""

    display_title = "glance-sync upgrade check"

    def __init__(self, arguments: Sequence[str], *, prog: str) -> None:
        super().__init__()
        self._arguments = arguments
        self._prog = prog

    def _parsed(self) -> cfg.ConfigOpts | None:
        try:
            return options.parse(self._arguments, prog=self._prog)
        except ConfigurationError:
            return None  # check_configuration tells

    def check_configuration(self) -> Result:
        """Options that are gone, renamed, or wrong."""
        try:
            given = read_given(self._arguments, prog=self._prog)
            options.read_settings(options.parse(self._arguments, prog=self._prog))
        except ConfigurationError as error:
            return Result(Code.FAILURE, inert(str(error)))
        old = [f"{name} in [{section}] is now {given.known[section][name].name} ({path})"
               for (section, name), (_text, path) in given.values.items()
               if name not in (given.known[section][name].dest, given.known[section][name].name.replace("-", "_"))]
        return Result(Code.WARNING, inert("; ".join(old))) if old else Result(Code.SUCCESS)

    def check_database(self) -> Result:
        """Whether `db sync` is due, and whether this version knows the tables at all."""
        conf = self._parsed()
        if conf is None:
            return _unread()
        try:
            url = options.read_settings(conf).server.connection
            if _is_missing(url):
                return Result(Code.WARNING, "there is no database yet: run glance-sync-manage db sync")
            database = Database(url)
            version, problem = database.version(), database.why_unfit()
        except GlanceSyncError as error:
            return Result(Code.FAILURE, inert(str(error)))
        return _judge_tables(version, problem)

    def check_policy(self) -> Result:
        """A policy file that is broken, JSON, or has rules that nothing reads."""
        conf = self._parsed()
        if conf is None:
            return _unread()
        try:
            new_enforcer(conf)
        except ConfigurationError as error:
            return Result(Code.FAILURE, inert(str(error)))
        found = conf.find_file(conf.oslo_policy.policy_file)
        if found is None:
            return Result(Code.SUCCESS)
        if fileutils.is_json(found):
            return Result(Code.FAILURE, f"{found} is JSON: convert it with oslopolicy-convert-json-to-yaml")
        said = yaml.safe_load(Path(found).read_text("utf-8")) or {}
        strange = sorted(set(said) - {rule.name for rule in list_rules()} - set(_references(said.values())))
        return Result(Code.WARNING, inert(f"{found} has rules that nothing reads: {', '.join(strange)}")) if strange \
            else Result(Code.SUCCESS)

    def check_modes(self) -> Result:
        """Files with secrets, and the database, that others may read."""
        conf = self._parsed()
        if conf is None:
            return _unread()
        paths = [Path(each) for each in read_given(self._arguments, prog=self._prog).files]
        database = _file_of(options.read_settings(conf).server.connection)
        if database is not None:
            paths += [database.parent, database]
        others = stat.S_IROTH | stat.S_IWOTH
        wide = [f"{path} ({stat.S_IMODE(path.stat().st_mode):04o})" for path in paths
                if path.exists() and path.stat().st_mode & others]
        return Result(Code.WARNING, f"others may read or write {', '.join(wide)}: chmod o-rwx") if wide \
            else Result(Code.SUCCESS)

    def check_packages(self) -> Result:
        """This Python's packages against what this version needs; Glance too where it is installed beside."""
        wrong = [f"{name} {found or 'is missing'}, needed is {needed}" for name, needed, found in _unmet()]
        if wrong:
            return Result(Code.FAILURE, "; ".join(wrong))
        glance = _version("glance")
        if glance is not None and int(glance.split(".")[0]) < OLDEST_GLANCE:
            return Result(Code.WARNING, f"Glance {glance} is older than the filter is tried with "
                                        f"({OLDEST_GLANCE})")
        beside = f"Glance {glance}" if glance else "no Glance in this Python"
        return Result(Code.SUCCESS, f"Python {'.'.join(map(str, sys.version_info[:3]))}, {beside}")

    _upgrade_checks = (("configuration", check_configuration), ("database", check_database), ("policy", check_policy),
                       ("files' modes", check_modes), ("packages", check_packages))


def check(arguments: Sequence[str], *, prog: str) -> int:
    """Print the table; 0 all is well, 1 look at something, 2 do not go on."""
    return int(Checks(arguments, prog=prog).check())


def _judge_tables(version: str | None, problem: str | None) -> Result:
    steps = migrate.steps()
    wanted = steps[-1].revision
    if problem is None:
        newer = f"the tables are at {inert(str(version))}, a newer program's, and serve this one too"
        return Result(Code.SUCCESS, newer if version != wanted else None)
    if version is not None and version not in {step.revision for step in steps}:
        return Result(Code.FAILURE, f"the schema {inert(problem)}")
    contracting = compat.find_contracting(steps, version)
    how = "run glance-sync-manage db sync; servers of the version that has these tables may go on meanwhile" \
        if contracting is None else (f"stop every server first, because {contracting.revision} takes away what they "
                                     "need, then run glance-sync-manage db sync")
    return Result(Code.WARNING, f"the tables are at {version or 'nothing'}, this version has {wanted}: back up the "
                                f"database, {how}")


def _unread() -> Result:
    return Result(Code.FAILURE, "not looked at, because the configuration is wrong")


def _file_of(url: str) -> Path | None:
    found = sa.make_url(url)
    return Path(found.database) if found.get_backend_name() == "sqlite" and found.database else None


def _is_missing(url: str) -> bool:
    """Asking an SQLite file makes it."""
    try:
        path = _file_of(url)
    except sa.exc.ArgumentError:
        return False  # the database says what is wrong with it
    return path is not None and not path.exists()


def _references(rules: object) -> list[str]:
    """Names that the rules' texts refer to with `rule:NAME`."""
    words = str(rules).replace("(", " ").replace(")", " ").replace("'", " ").split()
    return [word.removeprefix("rule:").rstrip(",]") for word in words if word.startswith("rule:")]


def _unmet() -> list[tuple[str, str, str | None]]:
    """(package, what is needed, what is there) of those that do not fit."""
    needs = [Requirement(each) for each in metadata.requires("glancesync") or ()]
    plain = [each for each in needs if each.marker is None or each.marker.evaluate({"extra": ""})]
    found = [(each.name, str(each.specifier), _version(each.name), each) for each in plain]
    return [(name, needed, version) for name, needed, version, each in found
            if version is None or not each.specifier.contains(version, prereleases=True)]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
