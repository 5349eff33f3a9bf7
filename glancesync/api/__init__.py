# SPDX-License-Identifier: Apache-2.0
"""The HTTP API: a paste pipeline over one table of routes. `app.load_app` builds it; `cmd` serves it."""
