# SPDX-License-Identifier: Apache-2.0
"""The core that API, command line and timers share: one door in (submit), one view out (states)."""
from glancesync.service.core import Service

__all__ = ["Service"]
