# SPDX-License-Identifier: Apache-2.0
"""Deciding and doing: what an image should be in a region (pure), and making it so."""
