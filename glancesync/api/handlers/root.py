# SPDX-License-Identifier: Apache-2.0
"""What anybody may ask: is it alive, which versions does it speak, what does its API look like."""
from __future__ import annotations

from typing import Any

from glancesync.api import versions
from glancesync.api.call import Call, Reply


def list_versions(call: Call) -> Reply:
    return Reply(body={"versions": [_version(call)]})


def get_version(call: Call) -> Reply:
    return Reply(body={"version": _version(call)})


def healthcheck(_call: Call) -> Reply:
    """The process answers. Whether it gets on with its work is told to whoever may list the regions."""
    return Reply(body={"status": "ok"})


def _version(call: Call) -> dict[str, Any]:
    base = (call.settings.public_endpoint or call.request.application_url).rstrip("/")
    return {
        "id": "v1.0", "status": "CURRENT",
        "min_version": versions.MINIMUM.text, "version": versions.MAXIMUM.text,
        "links": [{"rel": "self", "href": f"{base}/v1"}],
    }
