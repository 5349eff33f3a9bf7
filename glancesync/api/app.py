# SPDX-License-Identifier: Apache-2.0
"""Loads the API from its paste file. `cmd` calls load_app once and serves what it returns."""
from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paste.deploy.loadwsgi import ConfigLoader

from glancesync.api.parts import KEY, Parts, parts_of
from glancesync.api.router import Router
from glancesync.api.routes import GUARDED_ROUTES
from glancesync.exceptions import ConfigurationError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def load_app(parts: Parts, paste_file: str | Path, *, name: str = "main") -> WSGIApplication:
    """The pipeline `name` of a paste file over the objects given; raises ConfigurationError naming the file.

    Paste's own entry takes strings only, for it interpolates them; handing the global configuration to the loader
    itself passes objects through as they are, so that nothing has to be kept in a module.
    """
    try:
        app: WSGIApplication = ConfigLoader(str(paste_file)).get_app(name, global_conf={KEY: parts})
    except (OSError, LookupError, ImportError, AttributeError, TypeError, configparser.Error) as error:
        raise ConfigurationError(f"The paste file {paste_file} does not give a pipeline '{name}': {error}") from error
    return app


def app_factory(global_conf: Mapping[str, Any]) -> WSGIApplication:
    """The last stage: every route that needs a caller."""
    return Router(parts_of(global_conf), GUARDED_ROUTES)
