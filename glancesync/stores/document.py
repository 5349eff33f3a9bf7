# SPDX-License-Identifier: Apache-2.0
"""Reads glance_store.yaml into plain values that remember their lines. Called by loader.

An alias is refused: nine of them, each of nine others, are a billion values. So are tags (an unquoted password may look
like one, and YAML's error would show it), two equal keys, of which YAML would silently drop one, and a file that others
than its owner may write, for it names commands that this server runs.
"""
from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from glancesync.exceptions import ConfigurationError
from glancesync.model.text import inert

_MAX_BYTES = 1024 * 1024
_MAX_DEPTH = 20
_MOST_NUMBER = 1 << 63
_NO_TAGS = "tags (!) are not taken; put the value into quotation marks"
Place = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Document:
    """`value` is made of dicts, lists, strings, numbers, booleans and None; `lines` says where each key begins."""

    path: Path
    value: Any
    lines: dict[Place, int]

    def error(self, place: Place, message: str) -> ConfigurationError:
        """One that names file, line and key."""
        line = next((self.lines[place[:length]] for length in range(len(place), -1, -1)
                     if place[:length] in self.lines), 1)
        return ConfigurationError(f"{self.path}, line {line}, {describe(place)}: {inert(message)}")


def describe(place: Place) -> str:
    """`glances[0].schemes[1].parameters.host`."""
    text = "".join(f"[{each}]" if isinstance(each, int) else f".{inert(each)}" for each in place)
    return text.lstrip(".") or "the whole file"


def read_document(path: Path) -> Document:
    """Raises ConfigurationError for a file that is missing, unsafe or no YAML."""
    text = _read_safely(path)
    try:
        node = yaml.compose(text, Loader=_NoAliases)
        lines: dict[Place, int] = {}
        value = None if node is None else _Builder(path, lines).build(node, ())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}, line {line}: {inert(_problem(error))}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is no YAML: {inert(str(error))}") from None
    return Document(path=path, value=value, lines=lines)


def _problem(error: yaml.MarkedYAMLError) -> str:
    """What YAML says shows one character of the file at most, but for tags."""
    return _NO_TAGS if isinstance(error, yaml.parser.ParserError) and "tag handle" in str(error.problem) else str(
        error.problem)


def open_at_once(path: Path) -> BinaryIO:
    """As open; a pipe without a writer holds up nobody. Raises OSError."""
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))


def _read_safely(path: Path) -> str:
    try:
        with open_at_once(path) as file:
            found = os.fstat(file.fileno())
            _check_file(path, found)
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise ConfigurationError(f"{path} is larger than {_MAX_BYTES} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}, line {line}: is not written in UTF-8") from None


def _check_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"{path} is no regular file")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(f"{path} may be written by others than its owner (mode {found.st_mode & 0o777:04o}); "
                                 "run `chmod go-w` on it")
    if found.st_uid not in (0, os.geteuid()):
        raise ConfigurationError(f"{path} belongs to user {found.st_uid}, neither to root nor to the user that runs "
                                 "this program")


class _NoAliases(yaml.SafeLoader):
    """Refuses before anything is put together. Depth is bounded here: PyYAML recurses."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.MarkedYAMLError(problem="anchors and aliases (& and *) are not taken",
                                       problem_mark=event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise yaml.MarkedYAMLError(problem=_NO_TAGS, problem_mark=event.start_mark)
        if self._depth >= _MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="is nested too deeply", problem_mark=event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _Builder:
    def __init__(self, path: Path, lines: dict[Place, int]) -> None:
        self._path = path
        self._lines = lines
        self._scalar: Callable[[yaml.Node], Any] = yaml.SafeLoader("").construct_object

    def build(self, node: yaml.Node, place: Place) -> Any:
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(each, (*place, number)) for number, each in enumerate(node.value)]
        try:
            value = self._scalar(node)
        except (ValueError, OverflowError):  # a date that is none, a number without an end
            value = _MOST_NUMBER
        if isinstance(value, int) and abs(value) >= _MOST_NUMBER:
            raise yaml.MarkedYAMLError(problem="is no value; put it into quotation marks", problem_mark=node.start_mark)
        return value

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem="a key must be a plain word", problem_mark=mark)
            key = key_node.value
            if key in found:
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} stands here for the second time",
                                           problem_mark=mark)
            self._lines[(*place, key)] = mark.line + 1
            found[key] = self.build(value_node, (*place, key))
        return found
