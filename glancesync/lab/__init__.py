# SPDX-License-Identifier: Apache-2.0
"""A real cloud of several regions on one machine: for demonstrations, tests and rehearsals.

One Keystone, one unmodified Glance per region (the cascading one with the paste filter added), the sync server, all
served on loopback from this virtual environment. `cloud.Lab` is the way in; `glancesync.cmd.lab` is its command.
No product code is imported here but the filter's name in a paste file: what judges the product must not be it.
"""
