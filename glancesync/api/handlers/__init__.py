# SPDX-License-Identifier: Apache-2.0
"""What the routes do: plain functions of a Call that return a Reply."""
