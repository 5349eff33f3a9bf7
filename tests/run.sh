#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up the environment where needed, then runs all tests and lint as one pytest run.
#   bash tests/run.sh [--full] [pytest arguments]
# --full adds what is slow. The exit status is pytest's: 0 only when everything passed.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=installation/environment.sh
. "$root/installation/environment.sh"
prepare_environment "$root"
cd "$root"
exec "$VENV/bin/python" -m pytest "$@"
