# SPDX-License-Identifier: Apache-2.0
"""The layers around Glance's repositories, outermost in its onion, and how they get there.

Used by `filter_factory` when Glance's paste pipeline is loaded. Controllers ask `Gateway` for a repository in each
request and in each import task, so that a wrapped method reaches all of them, whatever was loaded before.
"""
from __future__ import annotations

import functools
import inspect
from typing import Any

from glance import gateway
from glance.domain import proxy

from glancesync.exceptions import ConfigurationError
from glancesync.filter.reporter import Reporter
from glancesync.model.event import Operation

_MARK = "glancesync_reporter"
_SEAMS = {"get_repo": ["self", "context"], "get_member_repo": ["self", "image", "context"]}


class ImageRepoProxy(proxy.Repo):  # type: ignore[misc]
    """Reports what Glance has committed to an image. Items pass untouched: wrapped ones would need a factory, too."""

    def __init__(self, base: Any, context: Any, reporter: Reporter) -> None:
        super().__init__(base)
        self._context = context
        self._reporter = reporter

    def add(self, item: Any, *args: Any, **kwargs: Any) -> Any:
        result = super().add(item, *args, **kwargs)
        self._reporter.report(Operation.ADD, item, self._context)
        return result

    def save(self, item: Any, *args: Any, **kwargs: Any) -> Any:
        result = super().save(item, *args, **kwargs)
        self._reporter.report(Operation.SAVE, item, self._context)
        return result

    def remove(self, item: Any, *args: Any, **kwargs: Any) -> Any:
        result = super().remove(item, *args, **kwargs)
        self._reporter.report(Operation.REMOVE, item, self._context)
        return result

    def set_property_atomic(self, item: Any, *args: Any, **kwargs: Any) -> Any:
        result = super().set_property_atomic(item, *args, **kwargs)
        self._reporter.report(Operation.SAVE, item, self._context)
        return result

    def delete_property_atomic(self, item: Any, *args: Any, **kwargs: Any) -> Any:
        result = super().delete_property_atomic(item, *args, **kwargs)
        self._reporter.report(Operation.SAVE, item, self._context)
        return result


class MemberRepoProxy(proxy.MemberRepo):  # type: ignore[misc]
    """Reports what Glance has committed to the members of one image."""

    def __init__(self, base: Any, image: Any, context: Any, reporter: Reporter) -> None:
        super().__init__(image, base)
        self._context = context
        self._reporter = reporter

    def add(self, member: Any, *args: Any, **kwargs: Any) -> Any:
        result = super().add(member, *args, **kwargs)
        self._reporter.report(Operation.MEMBERS, self.image, self._context)
        return result

    def save(self, member: Any, *args: Any, **kwargs: Any) -> Any:
        result = super().save(member, *args, **kwargs)
        self._reporter.report(Operation.MEMBERS, self.image, self._context)
        return result

    def remove(self, member: Any, *args: Any, **kwargs: Any) -> Any:
        result = super().remove(member, *args, **kwargs)
        self._reporter.report(Operation.MEMBERS, self.image, self._context)
        return result


def find_installed(gateway_class: type = gateway.Gateway) -> Reporter | None:
    """The reporter that this process's Glance was given, None before `install`."""
    return getattr(gateway_class.__dict__["get_repo"], _MARK, None)


def install(reporter: Reporter, gateway_class: type = gateway.Gateway) -> None:
    """Put the layers around every repository that Glance makes from now on; call it once per process.

    Raises ConfigurationError when this Glance has other seams than are known.
    """
    for name, expected in _SEAMS.items():
        method = gateway_class.__dict__.get(name)
        if method is None or list(inspect.signature(method).parameters)[:len(expected)] != expected:
            raise ConfigurationError(f"This Glance is not known: its Gateway has no {name}({', '.join(expected)}). "
                                     "Set sync_enabled = False and ask for a newer glancesync.")
    get_repo, get_member_repo = (gateway_class.__dict__[name] for name in _SEAMS)

    @functools.wraps(get_repo)
    def wrapped_get_repo(self: Any, context: Any, *args: Any, **kwargs: Any) -> ImageRepoProxy:
        return ImageRepoProxy(get_repo(self, context, *args, **kwargs), context, reporter)

    @functools.wraps(get_member_repo)
    def wrapped_get_member_repo(self: Any, image: Any, context: Any, *args: Any, **kwargs: Any) -> MemberRepoProxy:
        return MemberRepoProxy(get_member_repo(self, image, context, *args, **kwargs), image, context, reporter)

    setattr(wrapped_get_repo, _MARK, reporter)
    gateway_class.get_repo = wrapped_get_repo  # type: ignore[attr-defined]
    gateway_class.get_member_repo = wrapped_get_member_repo  # type: ignore[attr-defined]
