#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs or upgrades the sync server on this host, and the filter in its glance-api.
#   sudo bash installation/install.sh --dry-run     prints every change, makes none
#   sudo bash installation/install.sh --help        all options
# PYTHON=/path/to/python3 names the Python for the server. pip's own variables (PIP_INDEX_URL, ...) apply.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=installation/installer.sh
. "$root/installation/installer.sh"
run_installer "$root" install "$@"
