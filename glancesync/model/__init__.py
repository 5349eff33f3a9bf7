# SPDX-License-Identifier: Apache-2.0
"""Values that travel between the layers: frozen dataclasses, no I/O."""
