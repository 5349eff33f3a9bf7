#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Shows glancesync at work on a real cloud of its own on this machine (Keystone, three Glances, the sync server).
#   bash installation/demo.sh          leaves the cloud running and prints how to use it
#   bash installation/demo.sh --once   ends it; status 0 only if all regions hold the same in the end
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=installation/environment.sh
. "$root/installation/environment.sh"
prepare_environment "$root"
exec "$VENV/bin/glance-sync-lab" demo "$@"
