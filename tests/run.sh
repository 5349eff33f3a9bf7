#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up the environment where needed, then runs all tests and lint as one pytest run.
#   bash tests/run.sh [--full] [pytest arguments]
# --full adds what is slow, and makes what that needs: Glance 28 in .venv-glance28, MariaDB, PostgreSQL, RabbitMQ,
# Chromium. The exit status is pytest's: 0 only when everything passed. Two processes share the tests, each with a cloud
# of its own, unless the arguments name a number (-n 0) or a standing cloud (--lab-dir).
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=installation/environment.sh
. "$root/installation/environment.sh"
prepare_environment "$root"
ensure_ssh
case " $* " in *" --full "*)
    # shellcheck source=installation/full.sh
    . "$root/installation/full.sh"
    prepare_full "$root" ;;
esac
case " $* " in
    *" -n"* | *" --lab-dir"* | *" --pdb "* | *" -p no:xdist "*) processes=() ;;
    *) processes=(-n 2 --dist loadfile --no-loadscope-reorder) ;;
esac
cd "$root"
exec "$VENV/bin/python" -m pytest "${processes[@]}" "$@"
