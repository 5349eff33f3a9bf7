# SPDX-License-Identifier: Apache-2.0
"""`glance-sync-manage config show`. Called by `manage`."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from oslo_config import cfg

from glancesync.conf.effective import Effective, list_effective
from glancesync.model.text import inert


def show(conf: cfg.ConfigOpts, arguments: Sequence[str], *, everything: bool) -> int:
    """Print the options, in the form of a configuration file."""
    found = list(list_effective(conf, arguments, prog="glance-sync-manage"))
    for line in lines(each for each in found if everything or each.is_ours or each.is_set):
        print(line)
    return 0


def lines(found: Iterable[Effective]) -> Iterator[str]:
    """Sections with `name = value  # origin`."""
    section = None
    for each in found:
        if each.section != section:
            yield f"{'' if section is None else chr(10)}[{each.section}]"
            section = each.section
        yield f"{f'{each.name} = {inert(each.value)}'.rstrip():<60}  # {inert(each.origin)}"
