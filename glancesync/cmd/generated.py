# SPDX-License-Identifier: Apache-2.0
"""Writes every file of the source tree that is made of the code: `python -m glancesync.cmd.generated`, at its root.

With `--check` it writes nothing and names those that differ, with exit status 1. A test does that.
"""
from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from oslo_config import cfg
from oslo_config import generator as config_generator
from oslo_policy import generator as policy_generator

from glancesync.cmd.pages import api_page, configuration_page
from glancesync.cmd.states import states_page
from glancesync.stores.schema import SAMPLE as STORES_SAMPLE


def configuration_sample() -> str:
    """As oslo-config-generator writes it."""
    conf = cfg.ConfigOpts()
    config_generator.register_cli_opts(conf)
    conf(["--namespace", "glancesync", "--summarize", "--wrap-width", "110"], project="sample")
    output = io.StringIO()
    config_generator.generate(conf, output)
    return output.getvalue()


def policy_sample() -> str:
    """As oslopolicy-sample-generator writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.yaml"
        policy_generator._generate_sample(["glancesync"], str(path))  # its public one works but once in a process
        return path.read_text("utf-8")


#: By path below the source tree's root.
FILES: Mapping[str, Callable[[], str]] = {
    "docs/states.md": states_page,
    "docs/configuration.md": configuration_page,
    "docs/api.md": api_page,
    "etc/glance-sync.conf.sample": configuration_sample,
    "etc/policy.yaml.sample": policy_sample,
    "etc/glance_store.yaml.sample": lambda: STORES_SAMPLE,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 all files are as the code says, by now; 1 with --check when one is not."""
    parser = argparse.ArgumentParser(prog="python -m glancesync.cmd.generated", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="of the source tree (default: here)")
    parser.add_argument("--check", action="store_true", help="write nothing, name what differs")
    given = parser.parse_args(arguments)
    texts = {given.root / name: make() for name, make in FILES.items()}
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        print(f"{path} differs" if given.check else f"wrote {path}")
        if not given.check:
            path.write_text(texts[path], "utf-8")
    return 1 if stale and given.check else 0


if __name__ == "__main__":
    sys.exit(main())
