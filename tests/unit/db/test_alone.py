# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from glancesync.db.alone import SoleUse
from glancesync.exceptions import NotReadyError


def test_one_server_for_one_file(tmp_path):
    url = f"sqlite:///{tmp_path}/state.db"
    first, second = SoleUse(url), SoleUse(url)
    first.take()
    with pytest.raises(NotReadyError, match="state.db.lock"):
        second.take()
    first.release()
    second.take()
    second.release()


def test_what_is_shared_is_not_locked():
    for url in ("sqlite://", "postgresql://nobody@nowhere/nothing"):
        SoleUse(url).take()
        SoleUse(url).take()


def test_a_file_that_cannot_be_opened_is_told(tmp_path):
    (tmp_path / "state.db.lock").mkdir()
    with pytest.raises(NotReadyError, match="state.db.lock cannot be opened: Is a directory; .* this user's"):
        SoleUse(f"sqlite:///{tmp_path}/state.db").take()
