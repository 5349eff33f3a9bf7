# SPDX-License-Identifier: Apache-2.0
"""What stands against an installation (pure). While there is anything, nothing is changed."""
from __future__ import annotations

import re
from functools import partial

from glancesync.installation import edits
from glancesync.installation.facts import PORT, Facts, Python
from glancesync.installation.layout import Request

PYTHON = (3, 11)
#: The oldest release that the filter is tried with, and the oldest that registers locations.
GLANCE, GLANCE_CASCADED = 28, 29
FREE_BYTES = {"programs": 500 * 1024 * 1024, "state": 200 * 1024 * 1024}


def problems(facts: Facts, request: Request) -> list[str]:
    """Each with its next step; empty when all is well."""
    found = []
    if not facts.is_root:
        found.append("not root: run it with sudo")
    found += [f"the program {name} is missing: install Debian's passwd and util-linux, or what holds it elsewhere"
              for name in facts.missing_programs]
    found += _of_python(facts.python, request)
    if request.with_filter:
        found += _of_glance(facts, request)
    if facts.port_taken and not facts.is_installed and not request.cascaded:
        found.append(f"port {PORT} of 127.0.0.1 is taken: end what listens there (ss -ltnp), or install first and "
                     "give bind_port in glance-sync.conf")
    for (path, free), (name, least) in zip(facts.free_bytes.items(), FREE_BYTES.items(), strict=True):
        if free < least:
            found.append(f"{path} ({name}) has {free >> 20} MiB of room, {least >> 20} MiB are needed")
    return found


def _of_python(python: Python | None, request: Request) -> list[str]:
    if python is None:
        return [f"{request.python} is no Python that runs: name one with PYTHON=/path/to/python3"]
    if python.version < PYTHON:
        return [f"{request.python} is Python {_dotted(python)}, 3.11 or newer is needed: name one with "
                "PYTHON=/path/to/python3"]
    if not python.is_for_all and not request.cascaded:
        return [f"{request.python} cannot be run by others than root, and the server is not root: name one with "
                "PYTHON=/usr/bin/python3"]
    return [] if python.has_venv else [f"{request.python} has no venv module: install python3-venv"]


def _of_glance(facts: Facts, request: Request) -> list[str]:
    glance = facts.glance
    if glance is None or glance.glance is None:
        where = f"{glance.path} has no Glance" if glance else "no Glance was found"
        other = "" if request.cascaded else ", or give --no-filter where glance-api runs on other hosts"
        return [f"{where}: name the Python that runs glance-api with --glance-python{other}"]
    found = []
    least, which = (GLANCE_CASCADED, edits.STORE) if request.cascaded else (GLANCE, edits.REPORTER)
    if int(re.split(r"\D", glance.glance, maxsplit=1)[0] or 0) < least:
        found.append(f"Glance is {glance.glance}, the filter is made for {least} and later: upgrade Glance first")
    if glance.version < PYTHON:
        found.append(f"Glance runs on Python {_dotted(glance)}, the filter needs 3.11 or newer")
    if not facts.glance_user_exists:
        found.append(f"there is no user {request.glance_user}: name the one that runs glance-api with --glance-user")
    for path, text, edit in ((request.glance_conf, facts.glance_conf, edits.read),
                             (request.glance_paste, facts.glance_paste, partial(edits.add_filter, which=which))):
        if text is None:
            found.append(f"{path} cannot be read: name Glance's files with --glance-conf and --glance-paste")
            continue
        try:
            edit(text)
        except edits.EditError as error:
            found.append(f"{path} {error}")
    return found


def _dotted(python: Python) -> str:
    return ".".join(map(str, python.version))
