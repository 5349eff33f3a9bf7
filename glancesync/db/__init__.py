# SPDX-License-Identifier: Apache-2.0
"""Where state lives: tables, migrations and one way to run a transaction."""
