# SPDX-License-Identifier: Apache-2.0
"""What the configuration files say, checked before anything is made of it. Called by `parse` and at each reload.

oslo.config reads what it knows and lets the rest be: a misspelt option that silently keeps its default is found at
three in the morning. Here each option, value and file is looked at, and the first that is wrong is named.
"""
from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from oslo_config import cfg

from glancesync.conf.known import AUTH_SECTIONS, Known, describe_allowed, known_options
from glancesync.exceptions import ConfigurationError

_REFERENCE = re.compile(r"(?<!\$)\$\{?([A-Za-z_]\w*)")
#: (section, option as its file spells it with underscores) to (text, file).
Values = Mapping[tuple[str, str], tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Given:
    """The files in the order of their reading, what they say (the last one wins), and what could be said."""

    files: tuple[str, ...]
    values: Values
    known: Known


def read_given(arguments: Sequence[str], *, prog: str) -> Given:
    """Raises ConfigurationError naming file, section, option and the allowed values of the first thing wrong."""
    files = tuple(_find_files(arguments, prog))
    values: dict[tuple[str, str], tuple[str, str]] = {}
    for path in files:
        values.update({key: (text, path) for key, text in _read_file(path)})
    auth_types = {section: values[section, "auth_type"][0] for section in AUTH_SECTIONS
                  if (section, "auth_type") in values}
    known = known_options(auth_types)
    for (section, name), (text, path) in values.items():
        _check(known, section, name, text, path)
    return Given(files=files, values=values, known=known)


def _find_files(arguments: Sequence[str], prog: str) -> Iterator[str]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-file", action="append", default=[])
    parser.add_argument("--config-dir", action="append", default=[])
    named, _others = parser.parse_known_args(list(arguments))
    yield from named.config_file or cfg.find_config_files(project="glance-sync", prog=prog)
    for directory in named.config_dir or cfg.find_config_dirs(project="glance-sync", prog=prog):
        if not Path(directory).is_dir():
            raise ConfigurationError(f"{directory} is no directory (it was named with --config-dir)")
        yield from sorted(str(path) for path in Path(directory).glob("*.conf"))


def _read_file(path: str) -> Iterator[tuple[tuple[str, str], str]]:
    sections: dict[str, dict[str, list[str]]] = {}
    try:
        cfg.ConfigParser(path, sections).parse()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ConfigurationError(f"{path} cannot be read: {reason} (name the file with --config-file)") from None
    except cfg.ParseError as error:
        raise ConfigurationError(f"{path} is no configuration file: line {error.lineno}: {error.msg}") from None
    for section, options in sections.items():
        for name, texts in options.items():
            if len(texts) > 1:
                raise ConfigurationError(f"{path}: {name} in [{section}] is given {len(texts)} times, keep one of them")
            yield (section, name.replace("-", "_")), texts[0]


def _check(known: Known, section: str, name: str, text: str, path: str) -> None:
    if section not in known:
        raise ConfigurationError(f"{path}: there is no section [{section}]{_nearest(section, known)}")
    if name not in known[section]:
        raise ConfigurationError(f"{path}: there is no option {name} in [{section}]{_nearest(name, known[section])}")
    opt = known[section][name]
    shown = name if opt.secret else f"{name} = {text}"
    for reference in _REFERENCE.findall(text):  # oslo.config puts the value of another option in
        if reference not in known["DEFAULT"] and reference not in known[section]:
            raise ConfigurationError(f"{path}: {shown} in [{section}] refers to ${reference}, which is no option; a $ "
                                     "that means itself is written $$")
    if not _REFERENCE.search(text) and not _is_allowed(opt, text):
        raise ConfigurationError(f"{path}: {shown} in [{section}] is wrong, allowed is {describe_allowed(opt)}")


def _is_allowed(opt: cfg.Opt, text: str) -> bool:
    if text == "":  # of a number oslo.config would make None, which nobody reckons with
        return isinstance(opt, cfg.StrOpt | cfg.ListOpt | cfg.MultiOpt) and not getattr(
            opt.type, "choices", None)
    try:
        opt.type(text)
    except (ValueError, TypeError):
        return False
    return True


def _nearest(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]}?" if found else f"; there are {', '.join(sorted(known))}"
