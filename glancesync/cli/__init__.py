# SPDX-License-Identifier: Apache-2.0
"""`openstack image sync ...`: commands of the OpenStack client (entry points in pyproject.toml).

They speak to the sync server through its API alone and decide nothing. Every `openstack` command loads `plugin`, so it
imports little.
"""
