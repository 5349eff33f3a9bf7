# SPDX-License-Identifier: Apache-2.0
"""Keeps the images of an OpenStack cloud available, identical and verified in every region."""

__version__ = "0.1.0"
