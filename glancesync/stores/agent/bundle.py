# SPDX-License-Identifier: Apache-2.0
"""The agent as one text, so that a host needs nothing but python3. Used by the server's side, and by the agent to have
another host do something."""
from __future__ import annotations

import base64
import json
import os
import zlib
from typing import Any

_PACKAGE = "glancesync.stores.agent"
#: In the order in which they import one another.
_MODULES = ("words", "files", "taker", "bundle", "hop", "delta", "moves", "confined", "main")
#: Where the modules came from a text, that text.
packed: str | None = None


def invocation(request: dict[str, Any]) -> list[str]:
    """The words of a command that does it on a host with python3."""
    text = packed or _pack()
    return ["python3", "-IS", "-c", "import base64,sys,types,zlib;P=" + repr(text)
            + ";exec(zlib.decompress(base64.b64decode(P)))", json.dumps(request, separators=(",", ":"))]


def script() -> str:
    """The same as a file to be installed."""
    text = packed or _pack()
    lines = "\\\n".join(text[start:start + 110] for start in range(0, len(text), 110))
    return ("#!/usr/bin/python3 -IS\n# SPDX-License-Identifier: Apache-2.0\n"
            "# The agent of glancesync's stores, packed; the sources are glancesync/stores/agent.\n"
            f"import base64,sys,types,zlib\nP = \"\\\n{lines}\"\nexec(zlib.decompress(base64.b64decode(P)))\n")


def _pack() -> str:
    sources = {name: _read(name) for name in _MODULES}
    program = f"SOURCES = {sources!r}\n" + _LOADER
    return base64.b64encode(zlib.compress(program.encode("utf-8"), 9)).decode("ascii")


def _read(name: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), f"{name}.py"), encoding="utf-8") as file:
        return file.read()


_LOADER = f"""
names = {_PACKAGE.split('.')!r}
for length in range(1, len(names) + 1):
    package = types.ModuleType(".".join(names[:length]))
    package.__path__ = []
    sys.modules[package.__name__] = package
for name, source in SOURCES.items():
    module = types.ModuleType({_PACKAGE!r} + "." + name)
    sys.modules[module.__name__] = module
    setattr(package, name, module)
    exec(compile(source, name + ".py", "exec"), module.__dict__)
sys.modules[{_PACKAGE!r} + ".bundle"].packed = P
sys.exit(sys.modules[{_PACKAGE!r} + ".main"].main(sys.argv[1:]))
"""
