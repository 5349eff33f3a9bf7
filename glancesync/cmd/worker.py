# SPDX-License-Identifier: Apache-2.0
"""`glance-sync-worker`: runs tasks that servers publish. Everything is imported after the standard library was made
green, Celery too: its own command would patch by itself, and later.
"""
from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; 0 then, 2 when the configuration is wrong, 1 when it cannot start."""
    from glancesync import concurrency

    concurrency.monkey_patch()
    from glancesync.cmd import working

    return working.run(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
