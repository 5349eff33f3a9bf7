# SPDX-License-Identifier: Apache-2.0
# Sourced by install.sh and uninstall.sh: `run_installer ROOT VERB ARGUMENTS` runs glancesync.installation.
# It needs ConfigUpdater; where Python has none, one is had from pip in a temporary folder, so the host stays as it is.

run_installer() {
    local root=$1 verb=$2 python=${PYTHON:-python3} status=0
    shift 2
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
        || { echo "Nothing was changed: Python 3.11 or newer is needed; name it with PYTHON=/path/to/python3" >&2; exit 2; }
    tools=$(mktemp -d)
    trap 'rm -rf -- "$tools"' EXIT
    if ! "$python" -I -c 'import configupdater' 2>/dev/null; then
        "$python" -m venv "$tools/venv" >&2 && "$tools/venv/bin/python" -m pip install --quiet \
            --disable-pip-version-check --target "$tools/packages" 'ConfigUpdater>=3.2' >&2 \
            || { echo "Nothing was changed: the Python package ConfigUpdater could not be had from pip, and Python's" \
                 "venv module is needed (Debian: python3-venv)" >&2; exit 2; }
    fi
    export PYTHONPATH=$root:$tools/packages PYTHONDONTWRITEBYTECODE=1
    case $verb in install) set -- --source "$root" "$@" ;; esac
    "$python" -P -m glancesync.installation "$verb" "$@" || status=$?
    return "$status"
}
