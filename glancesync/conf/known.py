# SPDX-License-Identifier: Apache-2.0
"""Every option that something reads, by section: ours, oslo.log's, and those of the libraries that check callers.

Used by `given` to refuse the others, and by `reload` to tell what changed.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping

from keystoneauth1 import loading
from keystoneauth1.exceptions import NoMatchingPlugin
from keystonemiddleware.opts import list_auth_token_opts
from oslo_config import cfg, types
from oslo_log import _options as log_options
from oslo_middleware.opts import list_opts as list_middleware_opts
from oslo_policy.opts import list_opts as list_policy_opts

from glancesync.conf import keystone
from glancesync.conf.image_rules import ImageRulesType
from glancesync.conf.listing import list_opts
from glancesync.conf.region_rules import RegionRulesType
from glancesync.exceptions import ConfigurationError

#: Section to option by any of its names, with underscores.
Known = dict[str, dict[str, cfg.Opt]]
#: Sections that describe a user of Keystone.
AUTH_SECTIONS = (keystone.GROUP, "keystone_authtoken")
_LIBRARY_SECTIONS = frozenset({"keystone_authtoken", "oslo_policy", "oslo_middleware"})


def known_options(auth_types: Mapping[str, str]) -> Known:
    """`auth_types` names keystoneauth1's plugin for each of AUTH_SECTIONS, password by default. Raises
    ConfigurationError for one that does not exist."""
    known: Known = {section: _by_name(opts) for section, opts in list_opts()}
    for _section, opts in list_opts():
        for opt in opts:
            for old in opt.deprecated_opts:
                if old.group:  # it stood in another section once
                    known[old.group][old.name or opt.name] = opt
    for _section, opts in log_options.list_opts():
        known["DEFAULT"].update(_by_name(opts))
    for section, opts in [*list_auth_token_opts(), *list_policy_opts(), *list_middleware_opts()]:
        if section in _LIBRARY_SECTIONS:
            known.setdefault(section, {}).update(_by_name(opts))
    for section in AUTH_SECTIONS:
        known[section].update(_by_name([*loading.get_auth_common_conf_options(),
                                        *loading.get_session_conf_options(),
                                        *_plugin_options(section, auth_types.get(section, "password"))]))
    return known


def describe_allowed(opt: cfg.Opt) -> str:
    """What the option takes, in words: `a whole number from 1 to 65535`."""
    kind = opt.type
    choices = getattr(kind, "choices", None)
    if choices:
        return "one of " + ", ".join(str(each) for each in choices)
    if isinstance(kind, ImageRulesType | RegionRulesType):
        return kind.allowed
    if isinstance(kind, types.Number):
        what = "a number" if isinstance(kind, types.Float) else "a whole number"
        return what + _describe_range(kind.min, kind.max)
    if isinstance(kind, types.Boolean):
        return "true or false"
    if isinstance(kind, types.HostAddress):
        return "a host name or an IP address"
    if isinstance(kind, types.URI):
        return f"a URL of {' or '.join(kind.schemes)}" if kind.schemes else "a URL"
    return "a list" if isinstance(kind, types.List) else "a text"


def _describe_range(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if least is not None:
        return f" of at least {least}"
    return "" if most is None else f" of at most {most}"


def _by_name(opts: Iterable[cfg.Opt]) -> dict[str, cfg.Opt]:
    return {name.replace("-", "_"): opt for opt in opts
            for name in (opt.dest, opt.name, *(old.name for old in opt.deprecated_opts if old.name))}


def _plugin_options(section: str, auth_type: str) -> list[cfg.Opt]:
    try:
        found: list[cfg.Opt] = loading.get_auth_plugin_conf_options(auth_type)
    except NoMatchingPlugin:
        names = ", ".join(sorted(loading.get_available_plugin_names()))
        raise ConfigurationError(f"[{section}] auth_type = {auth_type}: allowed is one of {names}") from None
    return found
