# SPDX-License-Identifier: Apache-2.0
"""/v1/openapi.json: complete, well-formed, and true of what the API answers."""
from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from glancesync.api.routes import ROUTES
from tests.unit.api.access_table import ATTEMPTS, Attempt
from tests.unit.api.fakes import CALLERS, Caller


@pytest.fixture
def document(admin: Caller) -> dict[str, Any]:
    return dict(admin("GET", "/v1/openapi.json").json)


def _validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema, "components": document["components"]})


@pytest.mark.parametrize("name", CALLERS)
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_answers_are_what_the_document_says(document: dict[str, Any], app: Any, attempt: Attempt, name: str) -> None:
    method, path = attempt.route
    operation = document["paths"][path][method.lower()]

    response = Caller(app, name)(method, attempt.url, attempt.body)

    described = operation["responses"][str(response.status_int)]
    for header, about in described["headers"].items():
        assert header in response.headers or not about["required"]
    _validator(document, described["content"]["application/json"]["schema"]).validate(response.json)


@pytest.mark.parametrize("attempt", [attempt for attempt in ATTEMPTS if attempt.body is not None], ids=str)
def test_the_requests_of_the_table_are_what_the_document_asks_for(document: dict[str, Any], attempt: Attempt) -> None:
    operation = document["paths"][attempt.route[1]][attempt.route[0].lower()]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    _validator(document, schema).validate(attempt.body)


@pytest.mark.parametrize("attempt", [attempt for attempt in ATTEMPTS if attempt.route[0] == "GET"
                                     and attempt.expected("admin") == 200], ids=str)
def test_what_did_not_change_is_answered_as_the_document_says(document: dict[str, Any], admin: Caller,
                                                              attempt: Attempt) -> None:
    etag = admin("GET", attempt.url).headers["ETag"]
    again = admin("GET", attempt.url, headers={"If-None-Match": etag})
    described = document["paths"][attempt.route[1]]["get"]["responses"][str(again.status_int)]
    assert (again.status_int, again.body) == (304, b"")
    assert "content" not in described
    assert all(header in again.headers for header in described["headers"])


def test_the_document_has_every_route_and_no_other(document: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert described == {(route.method, route.path) for route in ROUTES}


def test_each_operation_is_complete(document: dict[str, Any]) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert bool(operation["security"]) == ("401" in operation["responses"]) == ("x-policy-rule" in operation)


def test_schemas_are_schemas(document: dict[str, Any]) -> None:
    for schema in _schemas(document["paths"]) + list(document["components"]["schemas"].values()):
        jsonschema.Draft202012Validator.check_schema(schema)
        for name in _references(schema):
            assert name.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def test_every_component_is_used(document: dict[str, Any]) -> None:
    used = {name.rpartition("/")[2] for name in _references(document)}
    assert used == set(document["components"]["schemas"])


def _schemas(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [found for item in value for found in _schemas(item)]
    if isinstance(value, dict):
        own = [value["schema"]] if "schema" in value else []
        return own + [found for item in value.values() for found in _schemas(item)]
    return []


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in _references(item)]
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for item in value.values() for found in _references(item)]
    return []
