# SPDX-License-Identifier: Apache-2.0
# Sourced by tests/run.sh for --full, after environment.sh: `prepare_full ROOT` makes what only those tests need.
# What stands is reused. Says in a word what will not be tested when it cannot be had.

# Glance 28 has no upper bounds of its own; these are the libraries of its time where newer ones broke it.
GLANCE_28=("glance>=28,<29" "oslo.utils==7.1.0" "oslo.db==15.0.0" "SQLAlchemy<2.1"
           "gunicorn>=22" "PyMySQL>=1.1" "pyuwsgi>=2.0.23"
           "pytest>=8" "pytest-timeout>=2.3" "hypothesis>=6.100")

prepare_full() {
    prepare_glance_28 "$1"
    prepare_databases
    prepare_browser
    prepare_broker
}

prepare_glance_28() {
    local root=$1 folder=$1/.venv-glance28 stamp wanted
    stamp=$folder/installed.sha256
    wanted=$(printf '%s\n' "$root" "${GLANCE_28[@]}" | sha256sum | cut -d' ' -f1)
    mkdir -p "$folder"
    exec 9>"$folder/lock"
    flock 9
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        say "making $folder with Glance 28 (about a minute)"
        "$PYTHON" -m venv "$folder" || die "the virtual environment for Glance 28 could not be made"
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "${GLANCE_28[@]}" >&2 \
            || die "Glance 28 could not be installed; what pip said stands above"
        # The filter may need nothing that Glance does not bring: hence no dependencies.
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e "$root" >&2 \
            || die "glancesync could not be installed beside Glance 28; what pip said stands above"
        printf '%s\n' "$wanted" >"$stamp"
    fi
    exec 9>&-
}

find_program() { PATH=$PATH:/usr/sbin:$(printf '%s:' /usr/lib/postgresql/*/bin) command -v "$1" >/dev/null; }

prepare_databases() {
    local missing=()
    find_program mariadbd && find_program mariadb-install-db || missing+=(mariadb-server)
    find_program initdb || missing+=(postgresql)
    [ ${#missing[@]} = 0 ] && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        # The distribution's own servers are not wanted: the tests start private ones.
        export RUNLEVEL=1
        apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null \
            || say "${missing[*]} could not be installed: what needs them is skipped"
        return
    fi
    case " ${missing[*]} " in *" mariadb-server "*)
        say "MariaDB is missing and only root can install it: nothing runs on MariaDB" ;;
    esac
    case " ${missing[*]} " in *" postgresql "*)
        say "PostgreSQL is missing and only root can install it: taking the one that pip carries"
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check pgserver >&2 \
            || say "pip has none for this Python: nothing runs on PostgreSQL" ;;
    esac
}

# Chromium for the page, promtool for the alerts.
prepare_browser() {
    local missing=()
    find_program chromium || find_program chromium-browser || find_program google-chrome || missing+=(chromium)
    find_program promtool || missing+=(prometheus)
    if [ ${#missing[@]} != 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
        apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" fonts-dejavu-core \
            >/dev/null || say "${missing[*]} could not be installed: what needs them is skipped"
    elif [ ${#missing[@]} != 0 ]; then
        say "${missing[*]} are missing and only root can install them: what needs them is skipped"
    fi
    "$VENV/bin/python" -c 'import playwright' 2>/dev/null \
        || "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "playwright>=1.40" >&2 \
        || say "Playwright could not be installed: the page is not tried in a browser"
}

# RabbitMQ for notifications.
prepare_broker() {
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing rabbitmq-server"
        export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
        apt-get update -qq && apt-get install -y -qq --no-install-recommends rabbitmq-server >/dev/null \
            || say "rabbitmq-server could not be installed: what needs it is skipped"
    else
        say "RabbitMQ is missing and only root can install it: notifications are not tried on a broker"
    fi
}
