# SPDX-License-Identifier: Apache-2.0
"""The stages of the pipeline before the routes, one paste filter factory each."""
