# SPDX-License-Identifier: Apache-2.0
"""The engines of this package, one module each; see glancesync.tasks.engine."""
