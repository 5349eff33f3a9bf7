# SPDX-License-Identifier: Apache-2.0
"""GET /metrics, without a token, for the addresses that may. A stage of the API's pipeline that cmd builds."""
from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import webob
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from glancesync.api.errors import HttpError
from glancesync.conf.metrics import Network
from glancesync.exceptions import ForbiddenError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/metrics"
_FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")


class MetricsStage:
    """`trusts_proxy`: REMOTE_ADDR is whom the proxy named, not the proxy."""

    def __init__(self, application: WSGIApplication, *, registry: CollectorRegistry, allowed: Sequence[Network],
                 trusts_proxy: bool) -> None:
        self._application = application
        self._registry = registry
        self._allowed = allowed
        self._trusts_proxy = trusts_proxy

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH:
            return self._application(environ, start_response)
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            raise HttpError(405, "This path takes GET.", headers={"Allow": "GET, HEAD"})
        if not may_read(environ, self._allowed, trusts_proxy=self._trusts_proxy):
            raise ForbiddenError("Your address is none of [metrics] allowed_addresses.")
        encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        response = webob.Response(body=encode(self._registry))
        response.headers.update({"Content-Type": content_type, "Cache-Control": "no-store",
                                 "X-Content-Type-Options": "nosniff"})
        answer: Iterable[bytes] = response(environ, start_response)
        return answer


def may_read(environ: Mapping[str, Any], allowed: Sequence[Network], *, trusts_proxy: bool) -> bool:
    """Whether the caller's address is allowed. One that hides behind a proxy of this host is not on this host."""
    if not trusts_proxy and any(name in environ for name in _FORWARDED):
        return False
    try:
        address = ipaddress.ip_address(environ.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in allowed)
