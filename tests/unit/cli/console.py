# SPDX-License-Identifier: Apache-2.0
"""A command of the OpenStack client outside of it: its parser, its output, and a sync server of canned answers."""
from __future__ import annotations

import argparse
import io
from types import SimpleNamespace
from typing import Any

from glancesync.client import SyncClient
from glancesync.exceptions import GlanceSyncError

IMAGE = "11111111-2222-4333-8444-555555555555"
OTHER = "11111111-2222-4333-8444-666666666666"


def replica(region: str = "RegionTwo", **fields: Any) -> dict[str, Any]:
    """A region of an image as the API shows it."""
    return {"region": region, "state": "in_sync", "reason_code": "in_sync", "reason": "same", "bytes_done": 4,
            "bytes_total": 4, "replica_id": IMAGE, "lag_seconds": 0.5, "digest": None, "verified_at": None,
            "next_try_at": None, **fields}


def image(*regions: dict[str, Any], image_id: str = IMAGE, name: str = "one") -> dict[str, Any]:
    return {"id": image_id, "name": name, "regions": list(regions)}


def task(task_id: str = "t1", **fields: Any) -> dict[str, Any]:
    """A task as the API shows it."""
    return {"id": task_id, "image_id": IMAGE, "region": "RegionTwo", "state": "done", "step": None, "bytes_done": None,
            "bytes_total": None, "attempts": 0, "reason_code": "in_sync", "reason": "same", "updated_at": "now",
            "request_id": "req-1", "trigger": "api", "run_at": "soon", "run_again": False, **fields}


class CannedServer(SyncClient):
    """Answers by (method, path), one after the other, the last one for ever; keeps what was asked."""

    def __init__(self, answers: dict[tuple[str, str], list[Any]]) -> None:
        self._answers = answers
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    def _request(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        self.asked.append((method, path, content.get("json") or content.get("params") or {}))
        left = self._answers[method, path]
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, GlanceSyncError):
            raise answer
        return dict(answer)


class CannedGlance:
    """What osc-lib's image client is asked for."""

    def __init__(self, images: list[tuple[str, str, bool]]) -> None:
        self._images = images

    def images(self, *, is_hidden: bool, **filters: str) -> list[Any]:
        return [SimpleNamespace(id=image_id) for image_id, name, hidden in self._images
                if hidden == is_hidden and filters.get("name", name) == name]

    def find_image(self, image_id: str, *, ignore_missing: bool) -> Any:
        assert ignore_missing
        return next((each for each in self._images if each[0] == image_id), None)


class Console:
    """Runs commands; `.out` has what they printed."""

    def __init__(self, answers: dict[tuple[str, str], list[Any]], images: list[tuple[str, str, bool]] = []) -> None:  # noqa: B006
        self.server = CannedServer(answers)
        self._stdout = io.StringIO()
        self.login_error: Exception | None = None
        manager = SimpleNamespace(image_sync=self.server, image=CannedGlance(images))
        self._app = SimpleNamespace(client_manager=manager, stdout=self._stdout, options=SimpleNamespace(),
                                    command_manager=None, prepare_to_run_command=self._log_in)

    def use(self, client: SyncClient) -> None:
        """Another server than the canned one."""
        self._app.client_manager.image_sync = client

    def _log_in(self, command: Any) -> None:
        """What the client does before a command that asks for it."""
        assert command.auth_required
        if self.login_error is not None:
            raise self.login_error

    def run(self, command: type, *arguments: str) -> int:
        made = command(self._app, argparse.Namespace())
        return int(made.run(made.get_parser("openstack image sync x").parse_args(arguments)) or 0)

    @property
    def out(self) -> str:
        return self._stdout.getvalue()
