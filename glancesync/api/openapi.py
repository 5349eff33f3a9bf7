# SPDX-License-Identifier: Apache-2.0
"""/v1/openapi.json: the routes and their schemas as an OpenAPI 3.1 document. A test drives the API by it."""
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from glancesync import __version__
from glancesync.api.schemas import COMPONENTS, PATH_PARAMETERS

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
    "409": "The thing is in no state for this.",
    "413": "The body is larger than this server takes.",
    "415": "The body is not JSON.",
    "502": "A region's services answered in a way that ended this.",
    "503": "This server, Keystone or a region cannot answer now.",
}
_PUBLIC_ERRORS = ("400", "405")
_BODY_ERRORS = ("413", "415")


def document(routes: Sequence[Route]) -> Json:
    """The whole document."""
    paths: Json = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Image synchronisation", "version": __version__,
                 "description": "Keeps images available, identical and verified in every region."},
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
    return in_path + in_query


def _responses(route: Route) -> Json:
    wanted = _PUBLIC_ERRORS if route.rule is None else [
        status for status in _ERRORS if route.body is not None or status not in _BODY_ERRORS]
    responses: Json = {str(route.status): _json("Done." if route.status == 200 else "Committed.", route.answer)}
    responses |= {str(status): _json("Done.", schema) for status, schema in route.other_answers.items()}
    return responses | {status: _json(_ERRORS[status], {"$ref": "#/components/schemas/Error"}) for status in wanted}


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
