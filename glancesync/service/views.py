# SPDX-License-Identifier: Apache-2.0
"""What a person is shown of images and their regions. Called by the core; reads rows, asks no region."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from glancesync.clock import isoformat
from glancesync.db import paging
from glancesync.db.engine import Database
from glancesync.db.schema import births, images, replicas, tasks
from glancesync.exceptions import GlanceSyncError, ImageNotFoundError, RegionFrozenError, RegionPausedError
from glancesync.model.replica import ReplicaState
from glancesync.model.sort import BY_ID, Sort
from glancesync.service.regions import gone_regions
from glancesync.sync.codes import Code

_LIVE = ("waiting", "running")
_PARKED = Code.REGION_GONE
_LEFT_ALONE = (RegionPausedError.code, RegionFrozenError.code)


class ImageViews:
    """Joins images, replicas and the tasks that work on them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_images(self, *, limit: int, marker: str | None, owner: str | None, filters: Mapping[str, Any],
                    sort: Sort = BY_ID) -> list[dict[str, Any]]:
        """`filters`: state, region, reason_code of at least one of its regions; `deleted` is "false" for those that are
        not deleted in at least one of them."""
        def work(connection: sa.Connection) -> list[dict[str, Any]]:
            key, identity = _sort_key(sort), replicas.c.image_id
            query = sa.select(identity).distinct().where(*_conditions(connection, filters)).limit(limit).order_by(
                *paging.order(key, identity, sort))
            if owner is not None or sort.key != "id":
                query = query.outerjoin(images, images.c.image_id == identity)
            if owner is not None:
                query = query.where(images.c.owner == owner)
            if sort.key != "id":
                query = query.add_columns(key)  # what is sorted by must be among the distinct columns
            if marker is not None:
                query = query.where(paging.after(key, identity, sort, last_identity=marker,
                                                 last_key=_key_of(connection, marker, sort)))
            return image_views(connection, list(connection.scalars(query)))

        return self._database.read(work)

    def get_image(self, image_id: str) -> dict[str, Any]:
        """By the image's id, or by a replica's. Raises ImageNotFoundError."""
        def work(connection: sa.Connection) -> list[dict[str, Any]]:
            return image_views(connection, [image_id]) or image_views(connection, list(connection.scalars(
                sa.select(replicas.c.image_id).where(replicas.c.replica_id == image_id).limit(1))))

        found = self._database.read(work)
        if not found:
            raise ImageNotFoundError(f"no image {image_id} is known to this server")
        return found[0]

    def owner_of(self, image_id: str) -> str | None:
        def work(connection: sa.Connection) -> str | None:
            return connection.scalar(sa.select(images.c.owner).where(images.c.image_id == image_id))

        return self._database.read(work)

    def gone_regions(self) -> dict[str, float]:
        """Regions that left the catalog, and when."""
        return self._database.read(gone_regions)

    def count_states(self) -> dict[str, dict[str, int]]:
        """Region to state to number of replicas."""
        def work(connection: sa.Connection) -> dict[str, dict[str, int]]:
            found: dict[str, dict[str, int]] = {}
            gone = gone_regions(connection)
            for region, state, count in connection.execute(
                    sa.select(replicas.c.region, replicas.c.state, sa.func.count()).group_by(
                        replicas.c.region, replicas.c.state)):
                shown = ReplicaState.PARKED.value if region in gone else state
                counts = found.setdefault(region, {})
                counts[shown] = counts.get(shown, 0) + count
            return found

        return self._database.read(work)


def _conditions(connection: sa.Connection, filters: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    """What is parked is so because of its region; the records keep what they said before."""
    gone, state = list(gone_regions(connection)), filters.get("state")
    found = [replicas.c[name] == filters[name] for name in ("region", "reason_code") if filters.get(name) is not None]
    if filters.get("deleted") == "false":
        found.append(replicas.c.state != ReplicaState.DELETED.value)
    if state == ReplicaState.PARKED.value:
        found.append(replicas.c.region.in_(gone))
    elif state is not None:
        found += [replicas.c.state == state, replicas.c.region.not_in(gone)]
    return found


def _sort_key(sort: Sort) -> sa.ColumnElement[Any]:
    return replicas.c.image_id if sort.key == "id" else paging.never_null(images.c[sort.key])


def _key_of(connection: sa.Connection, marker: str, sort: Sort) -> Any:
    if sort.key == "id":
        return marker
    column = images.c[sort.key]
    found = connection.scalar(sa.select(column).where(images.c.image_id == marker))
    return paging.null_value(column) if found is None else found


def image_views(connection: sa.Connection, image_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Those of the images that have records, in the order given."""
    if not image_ids:
        return []
    shown = {row["image_id"]: row for row in connection.execute(
        sa.select(images).where(images.c.image_id.in_(image_ids))).mappings()}
    works = {(row["image_id"], row["region"]): row for row in connection.execute(
        sa.select(tasks).where(tasks.c.image_id.in_(image_ids))).mappings()}
    gone, born = gone_regions(connection), _births(connection, image_ids)
    found: dict[str, dict[str, Any]] = {}
    for row in connection.execute(sa.select(replicas).where(replicas.c.image_id.in_(image_ids))
                                  .order_by(replicas.c.image_id, replicas.c.region)).mappings():
        image_id = row["image_id"]
        if image_id not in found:
            found[image_id] = {**_image_view(image_id, shown.get(image_id)), "birth": born.get(image_id)}
        view = _region_view(row, works.get((image_id, row["region"])))
        if row["region"] in gone:
            view.update(state=ReplicaState.PARKED.value, reason_code=_PARKED.value, reason=_PARKED.meaning.what)
        found[image_id]["regions"].append(view)
    return [found[image_id] for image_id in image_ids if image_id in found]


def _births(connection: sa.Connection, image_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Image id to where it was made, for those made in a cascaded region."""
    return {row.image_id: {"region": row.region, "image_id": row.origin_id, "image_from": row.image_from,
                           "filled_at": isoformat(row.filled_at)}
            for row in connection.execute(sa.select(births).where(births.c.image_id.in_(image_ids)))}


def _image_view(image_id: str, row: Mapping[str, Any] | None) -> dict[str, Any]:
    fields = ("name", "owner", "status", "visibility", "size")
    view: dict[str, Any] = {"id": image_id, **{name: row[name] if row else None for name in fields}}
    view["updated_at"] = isoformat(row["updated_at"]) if row else None
    view["removed_at"] = isoformat(row["removed_at"]) if row else None
    view["regions"] = []
    return view


def _region_view(row: Mapping[str, Any], task: Mapping[str, Any] | None) -> dict[str, Any]:
    live = task if task is not None and task["state"] in _LIVE else None
    total = live["bytes_total"] if live and live["bytes_total"] is not None else row["size"]
    done = live["bytes_done"] if live and row["state"] != ReplicaState.IN_SYNC.value else row["size"]
    digest = ({"algorithm": row["digest_algorithm"], "value": row["digest_value"]} if row["digest_value"] else None)
    state, code, reason = row["state"], row["reason_code"], row["reason"]
    if live and live["state"] == "waiting" and live["reason_code"] == GlanceSyncError.code:
        # The run ended in a way that it could not write down itself.
        state, code, reason = ReplicaState.FAILED.value, live["reason_code"], live["reason"]
    if live and live["reason_code"] in _LEFT_ALONE and state != ReplicaState.FAILED.value:
        # What failed before the region was left alone tells more than that it is.
        state, code, reason = ReplicaState.WAITING.value, live["reason_code"], live["reason"]
    return {"region": row["region"], "state": state, "reason_code": code, "reason": reason,
            "bytes_done": done, "bytes_total": total, "replica_id": row["replica_id"],
            "id_reason": row["id_reason"], "origin": row["origin"], "choice": row["choice"], "digest": digest,
            "verified_at": isoformat(row["verified_at"]), "synced_at": isoformat(row["synced_at"]),
            "scrubbed_at": isoformat(row["scrubbed_at"]),
            "lag_seconds": row["lag_seconds"], "rate_bytes_per_second": row["rate_bytes_per_second"],
            "attempts": task["attempts"] if task else 0,
            "next_try_at": isoformat(live["run_at"]) if live and live["state"] == "waiting" else None,
            "task_id": task["id"] if task else None}
