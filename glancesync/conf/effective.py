# SPDX-License-Identifier: Apache-2.0
"""What every option is in the end and where that comes from. Used by `glance-sync-manage config show`."""
from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from oslo_config import cfg

from glancesync.conf.given import Given, read_given
from glancesync.conf.listing import list_opts

HIDDEN = "***"


@dataclass(frozen=True, kw_only=True)
class Effective:
    """`value` is text, HIDDEN for a secret one that is set; `origin` a file, an environment variable or `default`."""

    section: str
    name: str
    value: str
    origin: str
    is_ours: bool

    @property
    def is_set(self) -> bool:
        return self.origin != "default"


def list_effective(conf: cfg.ConfigOpts, arguments: Sequence[str], *, prog: str) -> Iterator[Effective]:
    """Every option that something reads, by section. `conf` is the parsed configuration of `arguments`; what the
    libraries would register on it later is registered now."""
    given = read_given(arguments, prog=prog)
    ours = {(section, opt.dest) for section, opts in list_opts() for opt in opts}
    for section, by_name in given.known.items():
        for opt in sorted({opt.dest: opt for opt in by_name.values()}.values(), key=lambda each: each.dest):
            yield _effective(conf, given, section, opt, is_ours=(section, opt.dest) in ours)


def _effective(conf: cfg.ConfigOpts, given: Given, section: str, opt: cfg.Opt, *, is_ours: bool) -> Effective:
    group = None if section == "DEFAULT" else section
    with contextlib.suppress(cfg.DuplicateOptError):  # two libraries that describe one option differently
        conf.register_opt(opt, group=group)
    value = (conf if group is None else conf[group])[opt.dest]
    return Effective(section=section, name=opt.dest, origin=_origin(given, section, opt), is_ours=is_ours,
                     value=HIDDEN if opt.secret and value else _shown(value))


def _origin(given: Given, section: str, opt: cfg.Opt) -> str:
    variable = f"OS_{section}__{opt.dest}".upper()  # oslo.config lets it win over the files
    if variable in os.environ:
        return f"environment variable {variable}"
    names = [name for name, each in given.known[section].items() if each.dest == opt.dest]
    return next((given.values[section, name][1] for name in names if (section, name) in given.values), "default")


def _shown(value: object) -> str:
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
