# SPDX-License-Identifier: Apache-2.0
"""Image bytes between the stores of two regions, past their Glances: what glance_store.yaml says, and who copies."""
