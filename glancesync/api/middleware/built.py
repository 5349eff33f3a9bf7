# SPDX-License-Identifier: Apache-2.0
"""Stages that are built elsewhere and handed in: the web page's and the metrics'. The API imports neither."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from glancesync.api.parts import parts_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def filter_factory(global_conf: Mapping[str, Any], *, stage: str) -> Callable[[WSGIApplication], WSGIApplication]:
    """The stage of that name; one that was not handed in is switched off and lets everything through."""
    built = parts_of(global_conf).stages.get(stage)
    return built if built is not None else lambda application: application
