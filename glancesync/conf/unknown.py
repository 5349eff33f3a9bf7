# SPDX-License-Identifier: Apache-2.0
"""Refuses what nothing would read: a misspelt option that silently keeps its default is found at three in the morning.

Called by the server's start and the administrator's commands, after the file was parsed.
"""
from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from keystoneauth1 import loading
from keystoneauth1.exceptions import NoMatchingPlugin
from oslo_config import cfg
from oslo_log import _options as log_options

from glancesync.conf import keystone
from glancesync.conf.listing import list_opts
from glancesync.exceptions import ConfigurationError

#: Sections whose options belong to libraries, which check them themselves.
LIBRARY_SECTIONS = frozenset({"keystone_authtoken", "oslo_policy", "oslo_middleware"})


def refuse_unknown_options(conf: cfg.ConfigOpts) -> None:
    """Raises ConfigurationError naming file, section and option, with the nearest name that exists."""
    known = _known_options(conf)
    for path in [*(conf.config_file or ()), *_files_of(conf.config_dir or ())]:
        sections: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(path, sections).parse()
        for section, options in sections.items():
            if section in LIBRARY_SECTIONS:
                continue
            if section not in known:
                raise ConfigurationError(f"{path}: there is no section [{section}]"
                                         + _nearest(section, [*known, *LIBRARY_SECTIONS]))
            for name in options:
                if name.replace("-", "_") not in known[section]:
                    raise ConfigurationError(f"{path}: there is no option {name} in [{section}]"
                                             + _nearest(name, known[section]))


def _known_options(conf: cfg.ConfigOpts) -> dict[str, set[str]]:
    known = {section: _names(opts) for section, opts in list_opts()}
    for _section, opts in log_options.list_opts():
        known["DEFAULT"] |= _names(opts)
    known["DEFAULT"] |= {"config_file", "config_dir"}
    known[keystone.GROUP] |= _names([*loading.get_auth_common_conf_options(), *loading.get_session_conf_options()])
    try:
        known[keystone.GROUP] |= _names(loading.get_auth_plugin_conf_options(conf.keystone.auth_type or "password"))
    except NoMatchingPlugin as error:
        raise ConfigurationError(f"[keystone] auth_type: {error}") from error
    return known


def _names(opts: Iterable[cfg.Opt]) -> set[str]:
    return {name.replace("-", "_") for opt in opts
            for name in (opt.dest, opt.name, *(old.name for old in opt.deprecated_opts if old.name))}


def _files_of(directories: Iterable[str]) -> list[str]:
    names = [directories] if isinstance(directories, str) else directories
    return [str(path) for name in names for path in sorted(Path(name).glob("*.conf"))]


def _nearest(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]}?" if found else f"; there are {', '.join(sorted(known))}"
