# SPDX-License-Identifier: Apache-2.0
"""What a handler gets and gives."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import webob
from oslo_context.context import RequestContext

from glancesync.api.access import Access
from glancesync.api.ports import SyncService
from glancesync.conf.api import ApiSettings


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request that the router found valid and allowed. `context` and `access` are None on public routes only."""

    request: webob.Request
    service: SyncService
    settings: ApiSettings
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    context: RequestContext | None = None
    access: Access | None = None

    @property
    def request_id(self) -> str | None:
        """The id that ties this to what caused it: the caller's request where it named one, else this request."""
        return None if self.context is None else self.context.global_id

    @property
    def rights(self) -> Access:
        """The caller's rights, on the routes that have a policy rule."""
        if self.access is None:
            raise TypeError("a public route has no caller")
        return self.access


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a handler answers: a JSON value under the status that its route declares, unless it says another."""

    body: Mapping[str, Any]
    status: int | None = None
