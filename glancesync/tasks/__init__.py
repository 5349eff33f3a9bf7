# SPDX-License-Identifier: Apache-2.0
"""The queue of (image, region) tasks and the worker that runs them. Nothing here knows what an image is."""
