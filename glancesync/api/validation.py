# SPDX-License-Identifier: Apache-2.0
"""Holds input to its schema. Sentences name the field and never repeat more of the input than its names."""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import jsonschema
from jsonschema.protocols import Validator

from glancesync.api.schemas import Schema
from glancesync.exceptions import InvalidInputError

_MAX_QUERY_FIELDS = 50


def _whole_pattern(_validator: Validator, pattern: str, value: Any,
                   _schema: Schema) -> Iterator[jsonschema.ValidationError]:
    # Python's $ also matches before a last newline, which the published schema does not say.
    if isinstance(value, str) and not re.search(re.sub(r"\$\Z", r"\\Z", pattern), value):
        yield jsonschema.ValidationError("does not match")


_StrictValidator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _whole_pattern})


def compile_schema(schema: Schema) -> Validator:
    """A validator to keep: making one costs more than using it."""
    return _StrictValidator(schema)


def check(validator: Validator, value: Any, *, what: str) -> None:
    """Raise InvalidInputError that says which field of `what` (e.g. "the body") is wrong, and what it should be."""
    error = next(validator.iter_errors(value), None)
    if error is not None:
        raise InvalidInputError(f"{_place(error, what)} {_complaint(error)}.")


def check_query(query_string: str, schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """The query's parameters; raises InvalidInputError on unknown, repeated and wrong ones."""
    try:
        pairs = parse_qsl(query_string.encode("ascii").decode(), keep_blank_values=True, errors="strict",
                          max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError:
        raise InvalidInputError("The query string is not valid: percent-encoded UTF-8, at most "
                                f"{_MAX_QUERY_FIELDS} parameters.") from None
    found: dict[str, Any] = {}
    for name, text in pairs:
        if name not in schemas:
            known = ", ".join(sorted(schemas)) or "none"
            raise InvalidInputError(f"The query parameter {_shown(name)} is not known; known are: {known}.")
        if name in found:
            raise InvalidInputError(f"The query parameter {name} may be given once.")
        found[name] = _typed(text, schemas[name])
        check(compile_schema(schemas[name]), found[name], what=f"The query parameter {name}")
    return found


def _typed(text: str, schema: Schema) -> Any:
    if schema["type"] == "integer" and re.fullmatch("[0-9]{1,9}", text, re.ASCII):
        return int(text)
    if "\0" in text:
        raise InvalidInputError("The query string holds a NUL character.")
    return text


def _place(error: jsonschema.ValidationError, what: str) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return f"{what}: {path.lstrip('.')}" if path else what


def _complaint(error: jsonschema.ValidationError) -> str:
    keyword, expected = error.validator, error.validator_value
    if keyword == "required":
        missing = [name for name in expected if name not in error.instance]
        return f"lacks {', '.join(missing)}"
    if keyword == "additionalProperties":
        unknown = sorted(set(error.instance) - set(error.schema["properties"]))
        return f"has a field that is not known: {_shown(unknown[0])}"
    if keyword == "anyOf":
        return "must be " + " or ".join(_described(choice) for choice in expected)
    if keyword in ("type", "pattern"):
        return f"must be {_described(error.schema)}"
    return _SENTENCES.get(str(keyword), "is not what the schema allows: {}").format(_plain(expected))


_SENTENCES = {
    "enum": "must be one of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} entries",
    "maxItems": "must have at most {} entries",
    "maxProperties": "must have at most {} fields",
    "uniqueItems": "must not hold anything twice",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMaximum": "must be less than {}",
}


def _described(schema: Schema) -> str:
    if "description" in schema:
        return str(schema["description"])
    if "pattern" in schema:
        return f"a string like {schema['pattern']}"
    return {"object": "a JSON object", "array": "a list", "null": "null", "integer": "a whole number"}.get(
        schema["type"], f"a {schema['type']}")


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _shown(name: str) -> str:
    return ascii(name[:64])
