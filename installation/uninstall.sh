#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Takes back what install.sh changed on this host; what was changed since is kept, unless --purge is given.
#   sudo bash installation/uninstall.sh --dry-run
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=installation/installer.sh
. "$root/installation/installer.sh"
run_installer "$root" uninstall "$@"
