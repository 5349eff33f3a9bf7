# SPDX-License-Identifier: Apache-2.0
"""The entry points: the one place that reads options and builds objects."""
