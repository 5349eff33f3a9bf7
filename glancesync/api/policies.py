# SPDX-License-Identifier: Apache-2.0
"""Who may do what. The defaults are these; a policy file overrides them. Feeds oslopolicy-sample-generator.

The account of the filter that sits in Glance may hand in events and image hints and read nothing. Whoever may read in
a project sees how that project's images stand. Everything else is the administrator's. Tokens must be scoped to a
project, the administrator's too, as for Glance and Nova.
"""
from __future__ import annotations

import logging

from oslo_config import cfg
from oslo_policy import policy

from glancesync.exceptions import ConfigurationError

LOG = logging.getLogger(__name__)
_BROKEN = (OSError, ValueError, TypeError, AttributeError)  # what oslo.policy lets out for a file that is none

EVENTS_ROLE = "glance_sync_events"

ADMIN = "rule:admin_required"
SUBMITTER = "rule:event_submitter"
ANY_READER = "rule:admin_required or role:reader"
READER = "rule:admin_required or rule:project_reader"

_BASE = [
    policy.RuleDefault("admin_required", "role:admin", "Operators of the cloud."),
    policy.RuleDefault("event_submitter", f"rule:admin_required or role:{EVENTS_ROLE}",
                       "The account that the filter in the cascading Glance uses, with a role of its own."),
    policy.RuleDefault("project_reader", "role:reader and project_id:%(owner)s",
                       "Readers (and with them members) of the project that owns the image."),
]

_RULES = [
    ("events:submit", SUBMITTER, "Report changed images.", [("POST", "/v1/events")]),
    ("images:hint", SUBMITTER, "Ask for a look at one image, by the routes of the original Glance Sync Manager.",
     [("PATCH", "/v1/images/{image_id}"), ("PUT", "/v1/images/{image_id}"), ("DELETE", "/v1/images/{image_id}"),
      ("PUT", "/v1/images/{image_id}/location")]),
    ("images:list", READER, "List the images of one's own project with their state in each region.",
     [("GET", "/v1/images")]),
    ("images:list_all", ADMIN, "List the images of every project.", [("GET", "/v1/images")]),
    ("images:get", READER, "See one image's state in each region. Whoever may not is told that it is not there.",
     [("GET", "/v1/images/{image_id}")]),
    ("images:explain", ADMIN, "See which ways an image's bytes can take to a region, and why others are not taken.",
     [("GET", "/v1/images/{image_id}/ways/{region}")]),
    ("tasks:list", READER, "List the tasks of an image of one's own project (the query must name the image).",
     [("GET", "/v1/tasks")]),
    ("tasks:list_all", ADMIN, "List the tasks of all images, and see which server runs each.", [("GET", "/v1/tasks")]),
    ("tasks:get", READER, "See one task and its runs. Whoever may not is told that it is not there.",
     [("GET", "/v1/tasks/{task_id}")]),
    ("tasks:retry", ADMIN, "Make a task, or all that pass a filter, due now.",
     [("POST", "/v1/tasks/{task_id}/retry"), ("POST", "/v1/tasks/retry")]),
    ("tasks:cancel", ADMIN, "Cancel a task.", [("POST", "/v1/tasks/{task_id}/cancel")]),
    ("sync:submit", ADMIN, "Compare chosen images and regions now, or see what that would do.",
     [("POST", "/v1/sync")]),
    ("conflicts:list", ADMIN, "See which images stand in the way of replicas, and what differs.",
     [("GET", "/v1/conflicts")]),
    ("conflicts:choose", ADMIN, "Decide what becomes of an image that stands in the way of a replica.",
     [("POST", "/v1/images/{image_id}/conflicts/{region}")]),
    ("deletions:list", ADMIN, "See what was deleted and why.", [("GET", "/v1/deletions")]),
    ("regions:list", ADMIN, "List the regions with their endpoints and the state of their tasks.",
     [("GET", "/v1/regions"), ("GET", "/v1/regions/{region}")]),
    ("regions:freeze", ADMIN, "Have nothing written to a region, or let it go on.",
     [("POST", "/v1/regions/{region}/freeze"), ("POST", "/v1/regions/{region}/thaw")]),
    ("servers:list", ADMIN, "List the sync servers that share the work.", [("GET", "/v1/servers")]),
    ("history:get", ADMIN, "See bytes, runs and lag of the regions over time.", [("GET", "/v1/history")]),
    ("endpoints:list", ANY_READER, "List the image endpoints of the cascaded regions that one's own project may use.",
     [("POST", "/v1/cascaded-eps")]),
]


def list_rules() -> list[policy.RuleDefault]:
    """Every rule with its default (entry point `oslo.policy.policies`)."""
    return _BASE + [
        policy.DocumentedRuleDefault(name, check, description, [{"method": method, "path": path}
                                                                for method, path in operations],
                                     scope_types=["project"])
        for name, check, description, operations in _RULES]


class Enforcer(policy.Enforcer):
    """A policy file that is broken while the server runs does not change what holds, nor fail a request."""

    def load_rules(self, force_reload: bool = False) -> None:
        """Raises only where no rules hold yet."""
        try:
            super().load_rules(force_reload)
        except _BROKEN as error:
            if not self.rules:
                raise
            LOG.error("the policy file %s is broken, the rules before it stay in force: %s",
                      self.conf.oslo_policy.policy_file, error)


def new_enforcer(conf: cfg.ConfigOpts) -> policy.Enforcer:
    """An enforcer of these rules over the policy file that `conf` ([oslo_policy]) names; read again when it changes.

    Raises ConfigurationError where that file is broken."""
    enforcer = Enforcer(conf)
    # Older releases of oslo.policy only warn about a token of the wrong scope; newer ones know no other way.
    if "enforce_scope" in conf.oslo_policy:
        conf.set_default("enforce_scope", True, group="oslo_policy")
    enforcer.register_defaults(list_rules())
    try:
        enforcer.load_rules()
    except _BROKEN as error:
        raise ConfigurationError(f"The policy file {conf.oslo_policy.policy_file} is broken: {error}") from error
    return enforcer
