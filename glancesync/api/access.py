# SPDX-License-Identifier: Apache-2.0
"""One caller's rights. The router asks before a handler runs, handlers ask again where the answer depends on a row."""
from __future__ import annotations

from oslo_context.context import RequestContext
from oslo_policy import policy

from glancesync.exceptions import ForbiddenError


class Access:
    """What the caller of one request may do."""

    def __init__(self, *, enforcer: policy.Enforcer, context: RequestContext) -> None:
        self._enforcer = enforcer
        self._context = context

    def allows(self, rule: str, *, owner: str | None = None) -> bool:
        """True if the policy lets the caller do this to a thing of this owner (a project id)."""
        # oslo.policy compares texts: without this, no owner ("None") would match a caller without project ("None").
        return bool(self._enforcer.authorize(rule, {"owner": owner or ""}, self._context, do_raise=False))

    def require(self, rule: str) -> None:
        """Raise ForbiddenError unless the caller may do this at least to what its own project owns.

        So a caller whose roles allow it nothing gets one answer, whether or not a thing exists.
        """
        if not self.allows(rule, owner=self._context.project_id):
            raise ForbiddenError(f"The roles and scope of your token do not allow {rule}.")

    def own_project(self) -> str:
        """The project that the caller's token is for; raises ForbiddenError where it is for none."""
        if not self._context.project_id:
            raise ForbiddenError("This needs a token for a project.")
        return str(self._context.project_id)
