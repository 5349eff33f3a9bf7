# SPDX-License-Identifier: Apache-2.0
"""Puts the server and the filter on a host, and takes them back. Run by installation/install.sh and uninstall.sh.

`facts` looks at the host, `checks` (pure) says what stands against it, `plan` lists the changes, `changes` makes them,
`manifest` remembers them, `removal` takes them back. `edits` (pure) changes Glance's files and can undo that. It runs
before anything is installed: of other packages it needs ConfigUpdater alone.
"""
