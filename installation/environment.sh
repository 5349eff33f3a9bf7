# SPDX-License-Identifier: Apache-2.0
# Sourced by demo.sh and tests/run.sh: `prepare_environment ROOT` makes ROOT/.venv ready and sets VENV, `ensure_ssh`
# installs OpenSSH.
# Nothing is done when pyproject.toml and setup.py are those of the last time.

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Debian keeps venv's ensurepip in a package of its own.
ensure_venv_module() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
        || die "Python 3.11 or newer is needed; name it with PYTHON=/path/to/python3"
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null && return
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null \
        || die "Python's venv module is missing: install python3-venv"
    say "installing python3-venv"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || die "apt-get update failed"
    apt-get install -y -qq --no-install-recommends python3-venv >/dev/null || die "python3-venv could not be installed"
}

fingerprint() {
    { "$PYTHON" --version; printf '%s\n' "$1"; cat "$1/pyproject.toml" "$1/setup.py"; } | sha256sum | cut -d' ' -f1
}

prepare_environment() {
    local root=$1 stamp
    PYTHON=${PYTHON:-python3}
    VENV=$root/.venv
    stamp=$VENV/installed.sha256
    mkdir -p "$VENV"
    exec 9>"$VENV/lock"
    flock 9  # two commands in a fresh clone wait for each other
    if [ "$(cat "$stamp" 2>/dev/null)" != "$(fingerprint "$root")" ]; then
        if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
            ensure_venv_module
            say "making the virtual environment $VENV"
            "$PYTHON" -m venv "$VENV" || die "the virtual environment could not be made"
        fi
        say "installing glancesync with Keystone, Glance and the test tools (about a minute)"
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -e "$root[lab,test]" >&2 \
            || die "the installation failed; what pip said stands above"
        fingerprint "$root" >"$stamp"
    fi
    exec 9>&-
}

# The hosts of stores are private sshd processes of the tests.
ensure_ssh() {
    [ -x /usr/sbin/sshd ] && command -v ssh >/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing OpenSSH"
        # The distribution's own server is not wanted.
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq \
            --no-install-recommends openssh-server openssh-client >/dev/null; } \
            || say "OpenSSH could not be installed: what needs the hosts of stores is skipped"
    else
        say "OpenSSH is missing and only root can install it: what needs the hosts of stores is skipped"
    fi
}
