# SPDX-License-Identifier: Apache-2.0
"""oslo.middleware's http_proxy_to_wsgi with our configuration object: believes forwarding headers only when told to."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from oslo_middleware import HTTPProxyToWSGI

from glancesync.api.parts import parts_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def filter_factory(global_conf: Mapping[str, Any]) -> Callable[[WSGIApplication], WSGIApplication]:
    """Works where [oslo_middleware] enable_proxy_headers_parsing is true, else lets everything through untouched."""
    conf = parts_of(global_conf).conf
    return lambda application: HTTPProxyToWSGI(application, conf)
