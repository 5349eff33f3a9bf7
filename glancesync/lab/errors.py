# SPDX-License-Identifier: Apache-2.0
"""The lab's one error. It is outside the product's tree: no task or request can end in it."""
from __future__ import annotations


class LabError(Exception):
    """The lab could not do what it was told; the message names the service, the file and the next step."""
