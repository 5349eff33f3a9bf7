# SPDX-License-Identifier: Apache-2.0
"""/v1/openapi.json: the routes and their schemas as an OpenAPI 3.1 document. A test drives the API by it."""
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from glancesync import __version__
from glancesync.api.schemas import COMPONENTS, PATH_PARAMETERS
from glancesync.api.versions import HEADER, MAXIMUM, MINIMUM, SERVICE_TYPE, has_versions

if TYPE_CHECKING:
    from glancesync.api.routes import Route

Json = dict[str, Any]

_ERRORS = {
    "400": "The request is wrong; nothing was changed.",
    "401": "No valid token.",
    "403": "The caller's roles do not allow this.",
    "404": "Not there, or not for the caller to see.",
    "405": "The path takes other methods.",
    "406": "A microversion that this server does not speak.",
    "408": "The body did not arrive in time.",
    "409": "The thing is in no state for this.",
    "413": "The body is larger than this server takes.",
    "415": "The body is not JSON.",
    "502": "A region's services answered in a way that ended this.",
    "503": "This server, Keystone or a region cannot answer now.",
}
_PUBLIC_ERRORS = ("400", "405", "406", "413")
_BODY_ERRORS = ("408", "415")
_VERSION: Json = {"type": "string", "description": f"'{SERVICE_TYPE} <major>.<minor>' or '{SERVICE_TYPE} latest'; "
                                                   "without it the oldest is meant"}
_REQUEST_ID: Json = {"type": "string", "description": "this request's id, as the log has it"}


def document(routes: Sequence[Route]) -> Json:
    """The whole document."""
    paths: Json = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Image synchronisation", "version": __version__,
                 "description": "Keeps images available, identical and verified in every region. Microversions "
                                f"{MINIMUM.text} to {MAXIMUM.text} by the header {HEADER}."},
        "paths": paths,
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token",
                                          "description": "a Keystone token for a project"}},
        },
    }


def _operation(route: Route) -> Json:
    operation: Json = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": _responses(route),
        "security": [{"token": []}] if route.rule else [],
    }
    if route.rule:
        operation["x-policy-rule"] = route.rule
    if route.body:
        operation["requestBody"] = {"required": route.body.required,
                                    "content": {"application/json": {"schema": route.body.schema}}}
    return operation


def _operation_id(route: Route) -> str:
    words = re.findall(r"[a-z0-9]+", route.path.replace("_id}", ""))
    return "_".join([route.method.lower(), *(words or ["root"])])


def _parameters(route: Route) -> list[Json]:
    in_path = [{"name": name, "in": "path", "required": True, "schema": PATH_PARAMETERS[name]}
               for name in re.findall(r"{(\w+)}", route.path)]
    in_query = [{"name": name, "in": "query", "required": False, "schema": schema}
                for name, schema in route.query.items()]
    in_header: list[Json] = []
    if has_versions(route.path):
        in_header.append({"name": HEADER, "in": "header", "required": False, "schema": _VERSION})
    if route.method == "GET":
        in_header.append({"name": "If-None-Match", "in": "header", "required": False, "schema": {
            "type": "string", "description": "the ETag of an earlier answer; 304 where this one would be the same"}})
    return in_path + in_query + in_header


def _responses(route: Route) -> Json:
    wanted = _PUBLIC_ERRORS if route.rule is None else [
        status for status in _ERRORS if route.body is not None or status not in _BODY_ERRORS]
    answers = {route.status: route.answer, **route.other_answers}
    responses: Json = {str(status): _json("Done." if status == 200 else "Committed.", schema, _headers(route))
                       for status, schema in answers.items()}
    if route.method == "GET":
        responses["304"] = {"description": "As in the answer whose ETag was named.", "headers": _headers(route)}
    error = {"$ref": "#/components/schemas/Error"}
    return responses | {status: _json(_ERRORS[status], error, {}) for status in wanted}


def _headers(route: Route) -> Json:
    headers: Json = {"X-Openstack-Request-Id": {"required": True, "schema": _REQUEST_ID}}
    if has_versions(route.path):
        headers[HEADER] = {"required": True, "schema": {
            "type": "string", "description": f"'{SERVICE_TYPE} ' and the version that answered"}}
    if route.method == "GET":
        headers["ETag"] = {"required": True, "schema": {"type": "string", "description": "for If-None-Match"}}
    return headers


def _json(description: str, schema: Json, headers: Json) -> Json:
    return {"description": description, "headers": headers, "content": {"application/json": {"schema": schema}}}
