# SPDX-License-Identifier: Apache-2.0
"""One Glance as the rest of the package sees it, and the catalog that says which there are."""
