# SPDX-License-Identifier: Apache-2.0
"""The layers over repositories like Glance's; tests/functional/test_filter.py shows them in the real one."""
from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest

from glancesync.exceptions import ConfigurationError
from glancesync.filter import proxies
from glancesync.filter.proxies import ImageRepoProxy, MemberRepoProxy

IMAGE = SimpleNamespace(image_id="the image")
MEMBER = SimpleNamespace(member_id="the member")


class Repository:
    """Answers every call with what it was called with, or fails."""

    error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
            if self.error:
                raise self.error
            return (name, args, kwargs)

        return call


class Recorder:
    def __init__(self) -> None:
        self.reports: list[tuple[str, object, object]] = []

    def report(self, operation: Any, image: object, context: object) -> None:
        self.reports.append((operation.value, image, context))


def image_repo() -> tuple[Any, Repository, Recorder]:
    base, recorder = Repository(), Recorder()
    return ImageRepoProxy(base, "context", recorder), base, recorder  # type: ignore[arg-type]


def member_repo() -> tuple[Any, Repository, Recorder]:
    base, recorder = Repository(), Recorder()
    return MemberRepoProxy(base, IMAGE, "context", recorder), base, recorder  # type: ignore[arg-type]


CHANGES = [
    (image_repo, "add", (IMAGE,), {}, "add"),
    (image_repo, "save", (IMAGE,), {"from_state": "queued"}, "save"),
    (image_repo, "remove", (IMAGE,), {}, "remove"),
    (image_repo, "set_property_atomic", (IMAGE, "n", "v"), {}, "save"),
    (image_repo, "delete_property_atomic", (IMAGE, "n", "v"), {}, "save"),
    (member_repo, "add", (MEMBER,), {}, "members"),
    (member_repo, "save", (MEMBER,), {"from_state": "pending"}, "members"),
    (member_repo, "remove", (MEMBER,), {}, "members"),
]


@pytest.mark.parametrize(("make", "method", "args", "kwargs", "operation"), CHANGES)
def test_each_committed_change_is_reported_once_and_items_pass_untouched(
        make: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], operation: str) -> None:
    repo, base, recorder = make()
    calls = []
    setattr(base, method, lambda *a, **k: calls.append((a, k)) or "result")
    getattr(repo, method)(*args, **kwargs)
    assert calls == [(args, kwargs)]
    assert recorder.reports == [(operation, IMAGE, "context")]


@pytest.mark.parametrize(("make", "method", "args", "kwargs", "operation"), CHANGES)
def test_a_failed_change_is_not_reported_and_fails_as_before(
        make: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], operation: str) -> None:
    repo, base, recorder = make()
    base.error = KeyError("Glance's own")
    with pytest.raises(KeyError) as raised:
        getattr(repo, method)(*args, **kwargs)
    assert raised.value is base.error
    assert recorder.reports == []


def test_results_and_reads_pass_through() -> None:
    repo, _, recorder = image_repo()
    assert repo.save(IMAGE) == ("save", (IMAGE,), {"from_state": None})
    assert repo.get("id") == ("get", ("id",), {})
    assert repo.list(limit=1) == ["list", (), {"limit": 1}]
    members, _, _ = member_repo()
    assert members.get("id") == ("get", ("id",), {})
    assert [entry[0] for entry in recorder.reports] == ["save"]


def known_gateway() -> type:
    class Gateway:
        def get_repo(self, context: Any) -> Any:
            return Repository()

        def get_member_repo(self, image: Any, context: Any) -> Any:
            return Repository()

    return Gateway


def test_installing_wraps_both_repositories_and_can_be_found() -> None:
    gateway, recorder = known_gateway(), Recorder()
    assert proxies.find_installed(gateway) is None
    proxies.install(recorder, gateway)  # type: ignore[arg-type]
    assert proxies.find_installed(gateway) is recorder
    gateway().get_repo("c").add(IMAGE)
    gateway().get_repo(context="c").add(IMAGE)
    gateway().get_member_repo(IMAGE, "c").add(MEMBER)
    gateway().get_member_repo(image=IMAGE, context="c").add(MEMBER)
    assert [entry[0] for entry in recorder.reports] == ["add", "add", "members", "members"]


def test_a_glance_with_other_seams_is_refused_whole() -> None:
    gateway = known_gateway()
    gateway.get_member_repo = lambda self, ctx, image: None  # type: ignore[attr-defined]
    before = gateway.get_repo  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError, match="get_member_repo"):
        proxies.install(Recorder(), gateway)  # type: ignore[arg-type]
    assert gateway.get_repo is before  # type: ignore[attr-defined]


def test_the_installed_glance_has_the_seams() -> None:
    from glance.gateway import Gateway

    for name, expected in proxies._SEAMS.items():
        assert list(inspect.signature(getattr(Gateway, name)).parameters) == expected
