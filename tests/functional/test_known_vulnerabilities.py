# SPDX-License-Identifier: Apache-2.0
"""What this package needs at run time, as it is installed here, held against the public database of advisories."""
from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import requests
from packaging.requirements import Requirement

pytestmark = pytest.mark.full

SERVICE = "https://api.osv.dev"


def _needed(name: str, found: dict[str, str]) -> dict[str, str]:
    """Versions by name of everything that the distribution needs, without extras, as it is installed."""
    for line in metadata.requires(name) or ():
        requirement = Requirement(line)
        key = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if key not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            found[key] = metadata.version(requirement.name)
            _needed(requirement.name, found)
    return found


def test_no_advisory_names_what_we_need(tmp_path: Path) -> None:
    try:
        requests.get(SERVICE, timeout=10)
    except requests.RequestException as error:
        pytest.skip(f"the advisories cannot be asked: {SERVICE} cannot be reached ({type(error).__name__})")
    needed = _needed("glancesync", {})
    assert {"eventlet", "keystonemiddleware", "webob"} <= needed.keys()
    listed = tmp_path / "requirements.txt"
    listed.write_text("".join(f"{name}=={version}\n" for name, version in sorted(needed.items())))
    answer = subprocess.run([sys.executable, "-m", "pip_audit", "--requirement", listed, "--no-deps", "--disable-pip",
                             "--vulnerability-service", "osv", "--progress-spinner", "off"],
                            capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
