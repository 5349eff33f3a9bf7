# SPDX-License-Identifier: Apache-2.0
"""Pages of the documentation that are made of the code: the options and the API. Called by `generated`."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from oslo_config import cfg

from glancesync.api import openapi
from glancesync.api.routes import ROUTES
from glancesync.conf.known import describe_allowed
from glancesync.conf.listing import list_opts
from glancesync.filter.options import list_opts as list_filter_opts

_CONFIGURATION = """# Configuration reference

Every option of the server's `glance-sync.conf` and of the filter's section in `glance-api.conf`. Unknown options, wrong
values and misspelt names stop the start with the file, the section and what is allowed.
`glance-sync-manage config show` prints what holds on a host, and which file says so. Logging, token checking, policy
and proxy options are those of oslo.log, keystonemiddleware, oslo.policy and oslo.middleware.
This page is generated from the code (`python -m glancesync.cmd.generated`).
"""
_API = """# API reference

The routes of the server's OpenAPI document, which it serves at `/v1/openapi.json` with the schemas of all bodies and
answers, and what each status means. Every request below /v1/ carries a Keystone token in `X-Auth-Token`; errors are
JSON with a code of [states.md](states.md). `etc/policy.yaml.sample` has the rules with their defaults.
This page is generated from the code (`python -m glancesync.cmd.generated`).
"""


def configuration_page() -> str:
    """Every option with type, default, whether a reload takes it, and its help."""
    parts = [_CONFIGURATION, "## glance-sync.conf\n"]
    parts += [_section(section, opts) for section, opts in list_opts()]
    parts.append("## glance-api.conf\n")
    parts += [_section(section, opts) for section, opts in list_filter_opts()]
    return "\n".join(parts)


def api_page() -> str:
    """Every operation with its parameters, body and answers."""
    paths: dict[str, dict[str, Any]] = openapi.document(ROUTES)["paths"]
    parts = [_API]
    for path, operations in paths.items():
        parts += [_operation(method.upper(), path, each) for method, each in operations.items()]
    return "\n".join(parts)


def _section(section: str, opts: Iterable[cfg.Opt]) -> str:
    rows = [f"| `{opt.name.replace('-', '_')}` | {_cell(describe_allowed(opt))} | {_default(opt)} | "
            f"{'at once' if opt.mutable else 'restart'} | {_cell(opt.help or '')} |" for opt in opts]
    return "\n".join([f"### [{section}]\n", "| option | takes | default | change | meaning |", "|---|---|---|---|---|",
                      *rows, ""])


def _default(opt: cfg.Opt) -> str:
    value = opt.sample_default if opt.sample_default is not None else opt.default
    return "" if value is None or value == "" else f"`{_cell(str(value))}`"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    lines = [f"## {method} {path}\n", operation["summary"], ""]
    rule = operation.get("x-policy-rule")
    lines += [f"Policy rule `{rule}`." if rule else "For anybody.", ""]
    rows = [_parameter(each) for each in operation["parameters"] if each["in"] != "header"]
    if rows:
        lines += ["| parameter | in | takes |", "|---|---|---|", *rows, ""]
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        lines += ["Body:", "", "| field | takes |", "|---|---|", *_fields(schema), ""]
    return "\n".join([*lines, f"Answers: {', '.join(operation['responses'])}.", ""])


def _parameter(parameter: dict[str, Any]) -> str:
    return f"| `{parameter['name']}` | {parameter['in']} | {_cell(_takes(parameter['schema']))} |"


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    wanted = set(schema.get("required", ()))
    for name, each in schema.get("properties", {}).items():
        yield f"| `{name}` | {_cell(_takes(each))}{', required' if name in wanted else ''} |"


def _takes(schema: dict[str, Any]) -> str:
    """A schema in words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return "one of " + ", ".join(f"`{each}`" for each in schema["enum"])
    kind = schema.get("type", "anything")
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if kind == "array":
        words = f"a list of {_takes(schema.get('items', {}))}"
    bounds = [f"{words_} {schema[key]}" for key, words_ in (("minimum", "at least"), ("maximum", "at most"))
              if key in schema]
    return ", ".join([words, *bounds, *([schema["description"]] if "description" in schema else [])])


def _cell(text: str) -> str:
    """Fit for a table's cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
