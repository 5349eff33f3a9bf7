# SPDX-License-Identifier: Apache-2.0
"""What a run is told when it has to end for several reasons."""
from __future__ import annotations

from typing import Any

import pytest

from glancesync.exceptions import GlanceSyncError, LeaseLostError, RegionFrozenError, TaskCancelledError
from glancesync.tasks.handle import TaskHandle


def _handle() -> TaskHandle:
    nobody: Any = None
    return TaskHandle(nobody, nobody, nobody, 0.0)


@pytest.mark.parametrize("final", [LeaseLostError("lost"), TaskCancelledError("cancelled")])
@pytest.mark.parametrize("final_first", [True, False])
def test_a_frozen_region_does_not_hide_that_the_task_is_not_ours(final: GlanceSyncError, final_first: bool) -> None:
    """A run that ends because of the freeze writes that down, which one that lost its task may not."""
    handle, frozen = _handle(), RegionFrozenError("frozen")
    for error in (final, frozen) if final_first else (frozen, final):
        handle.stop(error)
    with pytest.raises(type(final)):
        handle.check()


def test_a_frozen_region_ends_the_run() -> None:
    handle = _handle()
    handle.check()
    handle.stop(RegionFrozenError("frozen"))
    with pytest.raises(RegionFrozenError):
        handle.check()
