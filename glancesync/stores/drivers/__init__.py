# SPDX-License-Identifier: Apache-2.0
"""The drivers that come with this package; each is an entry point of `glancesync.stores`."""
