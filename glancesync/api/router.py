# SPDX-License-Identifier: Apache-2.0
"""The last stage of the pipeline: route, policy, input against its schema, handler, answer."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import webob
from oslo_context.context import RequestContext

from glancesync.api.access import Access
from glancesync.api.body import read_json
from glancesync.api.call import Call, Reply
from glancesync.api.errors import HttpError
from glancesync.api.parts import Parts
from glancesync.api.routes import Route, RouteMap
from glancesync.api.schemas import PATH_PARAMETERS
from glancesync.api.validation import check, check_query, compile_schema
from glancesync.exceptions import InvalidInputError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CONTEXT = "glancesync.context"


class Router:
    """A WSGI application over a table of routes. Its errors are exceptions; an earlier stage makes answers of them."""

    def __init__(self, parts: Parts, table: Sequence[Route]) -> None:
        self._parts = parts
        self._map = RouteMap(table)
        self._bodies = {route: compile_schema(route.body.schema) for route in table if route.body}
        self._path_parameters = {name: compile_schema(schema) for name, schema in PATH_PARAMETERS.items()}

    def knows(self, environ: WSGIEnvironment) -> bool:
        """True if one of the routes has this path, whatever the method."""
        return self._map.find(environ.get("PATH_INFO", "")) is not None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = webob.Request(environ)
        answer: Iterable[bytes] = self._answer(request)(environ, start_response)
        return answer

    def _answer(self, request: webob.Request) -> webob.Response:
        match = self._map.find(request.environ.get("PATH_INFO", ""))
        if match is None:
            raise HttpError(404, "This API has no such path; /v1/openapi.json lists those it has.")
        targets, path = match
        allowed = _allowed(targets)
        if request.method == "OPTIONS":
            return webob.Response(status=204, headers={"Allow": allowed}, content_type=None)
        route = targets.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            raise HttpError(405, f"This path takes {allowed}.", headers={"Allow": allowed})
        reply = route.handler(self._call(request, route, path))
        return _response(request, reply, status=reply.status or route.status)

    def _call(self, request: webob.Request, route: Route, path: Mapping[str, str]) -> Call:
        context, access = self._caller(request, route)
        for name, value in path.items():
            check(self._path_parameters[name], value, what=f"{name} in the path")
        query = check_query(request.query_string, route.query)
        return Call(request=request, service=self._parts.service, settings=self._parts.settings, path=path,
                    query=query, body=self._body(request, route), context=context, access=access)

    def _caller(self, request: webob.Request, route: Route) -> tuple[RequestContext | None, Access | None]:
        if route.rule is None:
            return None, None
        context = request.environ[CONTEXT]
        access = Access(enforcer=self._parts.enforcer, context=context)
        access.require(route.rule)
        return context, access

    def _body(self, request: webob.Request, route: Route) -> Any:
        if route.body is None:
            return None
        body = read_json(request)
        if body is None and not route.body.required:
            return {}
        if body is None:
            raise InvalidInputError("This needs a JSON body.")
        check(self._bodies[route], body, what="the body")
        return body


def _allowed(targets: Mapping[str, Route]) -> str:
    return ", ".join([*targets, *(["HEAD"] if "GET" in targets else []), "OPTIONS"])


def _response(request: webob.Request, reply: Reply, *, status: int) -> webob.Response:
    body = json.dumps(reply.body, allow_nan=False).encode()
    response = webob.Response(status=status, body=body, content_type="application/json", charset=None)
    response.headers.update({"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})
    if request.method in ("GET", "HEAD"):
        response.etag = hashlib.sha256(body).hexdigest()[:32]
        response.vary = ("X-Auth-Token",)
        response.conditional_response = True
    return response
