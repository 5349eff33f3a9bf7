# SPDX-License-Identifier: Apache-2.0
"""What is found on the host. Looks only; called before anything is changed."""
from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from glancesync.installation.layout import UNIT, Layout, Request

PORT = 9595
PROGRAMS = ("useradd", "userdel", "runuser")
_ASK_PYTHON = """
import importlib.metadata, importlib.util, json, os, sys, sysconfig
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
print(json.dumps({"python": list(sys.version_info[:2]), "glance": version("glance"),
                  "venv": all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
                  "program": os.path.realpath(getattr(sys, "_base_executable", sys.executable)),
                  "library": sysconfig.get_path("purelib")}))
"""


@dataclass(frozen=True, kw_only=True)
class Python:
    """One Python of the host, by what it says of itself."""

    path: Path
    version: tuple[int, int]
    has_venv: bool
    glance: str | None
    library: Path
    is_for_all: bool = True


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Texts are None where the file cannot be read."""

    is_root: bool
    python: Python | None
    glance: Python | None
    glance_conf: str | None
    glance_paste: str | None
    glance_user_exists: bool
    port_taken: bool
    is_installed: bool
    free_bytes: dict[str, int]
    missing_programs: tuple[str, ...]
    systemd_runs: bool
    server_runs: bool


def look(layout: Layout, request: Request) -> Facts:
    """All of it."""
    glance = request.glance_python or find_glance_python()
    return Facts(
        is_root=os.geteuid() == 0,
        python=ask_python(request.python), glance=ask_python(glance) if glance and request.with_filter else None,
        glance_conf=_text(request.glance_conf), glance_paste=_text(request.glance_paste),
        glance_user_exists=_has_user(request.glance_user),
        port_taken=_is_taken(PORT), is_installed=layout.unit.exists(),
        free_bytes={str(path): shutil.disk_usage(_existing(path)).free for path in (layout.programs, layout.state)},
        missing_programs=tuple(each for each in PROGRAMS if shutil.which(each) is None),
        systemd_runs=_systemd_runs(), server_runs=_systemd_runs() and _is_active(UNIT))


def ask_python(path: Path) -> Python | None:
    """None where it does not run."""
    try:
        # Not from here: this source tree is no package of that Python's.
        answer = subprocess.run([path, "-I", "-c", _ASK_PYTHON], capture_output=True, text=True, check=True, timeout=60)
        said = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Python(path=path, version=(said["python"][0], said["python"][1]), has_venv=said["venv"],
                  glance=said["glance"], library=Path(said["library"]),
                  is_for_all=_is_for_all(Path(said["program"])))


def _is_for_all(program: Path) -> bool:
    """Whether a user who is not root may run it: one in root's home is root's alone."""
    return all(each.stat().st_mode & 0o001 for each in (program, *program.parents))


def find_glance_python() -> Path | None:
    """The Python in the first line of `glance-manage`."""
    program = shutil.which("glance-manage")
    if program is None:
        return None
    first = Path(program).read_bytes().split(b"\n", 1)[0].decode("utf-8", "replace")
    words = first.removeprefix("#!").split()
    if not first.startswith("#!") or not words:
        return None
    return Path(words[-1] if words[0].endswith("/env") and len(words) > 1 else words[0])


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _systemd_runs() -> bool:
    return Path("/run/systemd/system").is_dir()


def _is_active(unit: str) -> bool:
    asked = subprocess.run([shutil.which("systemctl") or "systemctl", "is-active", "--quiet", unit], check=False)
    return asked.returncode == 0


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
