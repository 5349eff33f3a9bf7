# SPDX-License-Identifier: Apache-2.0
"""SyncClient: one method per route of the sync server. Used by the filter's sender and by the commands.

Green-free and thread-safe as far as its keystoneauth1 session is. Whatever goes wrong leaves it as one of
`glancesync.exceptions`; no error text holds a token.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import quote

import requests
from keystoneauth1 import exceptions as ksa
from keystoneauth1.session import Session
from urllib3.exceptions import HTTPError as Urllib3Error

from glancesync.client.answers import read_object
from glancesync.client.versions import OURS, Spoken, agree, header
from glancesync.exceptions import (
    ConfigurationError,
    RegionAnswerError,
    RegionError,
    RegionUnauthorizedError,
    RegionUnavailableError,
    VersionNotSpokenError,
)
from glancesync.model.event import Event

MAX_ANSWER_BYTES = 16 * 1024 * 1024
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


class SyncClient:
    """Calls to one sync server.

    :param session: carries the credentials; its own timeout bounds what is asked of Keystone. Headers that drip are
        bounded only by one that was made over `client.deadline`
    :param base_url: the server's URL without `/v1`
    :param spoken: the versions of the API that are understood
    :param timeout_seconds: to connect, to the first byte of an answer, and for the answer's body, each
    """

    def __init__(self, *, session: Session, base_url: str, timeout_seconds: float = 10.0,
                 max_answer_bytes: int = MAX_ANSWER_BYTES, spoken: Spoken = OURS) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._max_answer_bytes = max_answer_bytes
        self._spoken = spoken
        self._version = spoken.highest

    def submit_events(self, events: Sequence[Event]) -> list[str]:
        """Deliver events; returns the ids of the tasks that they became, once the server has committed them.

        Raises InvalidInputError (the server's own word that the batch is wrong) or another GlanceSyncError.
        """
        answer = self.post("/v1/events", {"events": [event.to_json() for event in events]})
        tasks = answer.get("tasks")
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise RegionAnswerError("The sync server acknowledged events without a list of tasks.")
        return [str(task.get("id")) for task in tasks]

    def list_images(self, **filters: object) -> dict[str, Any]:
        """One page of images with their state per region."""
        return self.get("/v1/images", filters)

    def get_image(self, image_id: str) -> dict[str, Any]:
        """State of one image in every region; raises ImageNotFoundError."""
        return self.get(f"/v1/images/{quote(image_id, safe='')}")

    def list_tasks(self, **filters: object) -> dict[str, Any]:
        """One page of tasks."""
        return self.get("/v1/tasks", filters)

    def get_task(self, task_id: str) -> dict[str, Any]:
        """One task; raises TaskNotFoundError."""
        return self.get(f"/v1/tasks/{quote(task_id, safe='')}")

    def act_on_task(self, task_id: str, verb: str) -> dict[str, Any]:
        """`retry` or `cancel`; raises TaskNotFoundError, StateConflictError."""
        return self.post(f"/v1/tasks/{quote(task_id, safe='')}/{verb}", {})

    def list_regions(self) -> dict[str, Any]:
        """The regions that the server knows."""
        return self.get("/v1/regions")

    def list_servers(self) -> dict[str, Any]:
        """The servers that share the work."""
        return self.get("/v1/servers")

    def freeze_region(self, name: str, reason: str | None = None) -> dict[str, Any]:
        """Have nothing written to the region; raises RegionNotFoundError, InvalidInputError."""
        body = {} if reason is None else {"reason": reason}
        return self.post(f"/v1/regions/{quote(name, safe='')}/freeze", body)

    def thaw_region(self, name: str) -> dict[str, Any]:
        """Let the region's tasks go on; raises as `freeze_region`."""
        return self.post(f"/v1/regions/{quote(name, safe='')}/thaw", {})

    def sync(self, request: Mapping[str, object], query: str = "") -> dict[str, Any]:
        """Ask for chosen images and regions to be synchronised; with `dry_run` returns the plan. That of everything
        comes in pages: `query` is what the link `next` of the page before carries."""
        return self.post(f"/v1/sync?{query}" if query else "/v1/sync", request)

    def get(self, path: str, query: Mapping[str, object] | None = None) -> dict[str, Any]:
        """GET a path; query values that are None are left out."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        return self._request("GET", path, params=given)

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """POST a JSON object to a path."""
        return self._request("POST", path, json=body)

    def _request(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        try:
            return self._ask(method, path, **content)
        except VersionNotSpokenError as error:
            self._version = agree(error.spoken, self._spoken)
            return self._ask(method, path, **content)  # the one that was refused did nothing

    def _ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        try:
            response = self._session.request(
                self._base_url + path, method, headers={**_HEADERS, **header(self._version)}, redirect=False,
                raise_exc=False,
                # keystoneauth1 would read a whole body to log it, however long.
                log=False, stream=True, timeout=(self._timeout_seconds, self._timeout_seconds), **content)
            with closing(response):
                return read_object(response, limit_bytes=self._max_answer_bytes,
                                   deadline_seconds=self._timeout_seconds)
        except (ksa.ClientException, requests.RequestException, Urllib3Error, OSError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> RegionError | ConfigurationError:
        """Foreign errors by their class only: their texts may quote what was sent."""
        name = type(error).__name__
        if isinstance(error, ksa.MissingAuthPlugin | ksa.NoMatchingPlugin | ksa.MissingRequiredOptions):
            return ConfigurationError(f"The credentials for the sync server are incomplete ({name}).")
        if isinstance(error, ksa.HttpError):
            kind = RegionUnauthorizedError if error.http_status in (401, 403) else RegionUnavailableError
            return kind(f"Keystone gave no token for the sync server (HTTP {error.http_status}).")
        if isinstance(error, ksa.AuthorizationFailure | ksa.DiscoveryFailure):
            return RegionUnavailableError(f"Keystone gave no token for the sync server ({name}).")
        return RegionUnavailableError(f"The sync server at {self._base_url}, or Keystone, gave no answer ({name}).")
