# SPDX-License-Identifier: Apache-2.0
"""Migrations. Each works while servers of the version before still run: expand first, contract in a later one."""
