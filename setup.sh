#!/bin/sh
# Makes .venv with netanomaly in it, on a machine that may have nothing but a Python, or (Debian, as root) not even that.
#   sh setup.sh        what the command needs
#   sh setup.sh dev    what the tests and checks need, too
set -eu
cd "$(dirname "$0")"

fits() { "$1" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

python() {
    for name in python3.13 python3.12 python3.11 python3 python; do
        if command -v "$name" >/dev/null && fits "$name"; then
            command -v "$name"
            return
        fi
    done
}

apt() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    apt-get -qq update >&2 && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "$@" >&2
}

if ! { [ -x .venv/bin/python ] && fits .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
    found=$(python)
    [ -n "$found" ] || { apt python3 python3-venv && found=$(python); } || true
    [ -n "$found" ] || { echo "setup.sh: no Python 3.11, 3.12 or 3.13 on the PATH; install one" >&2; exit 2; }
    rm -rf .venv
    # Debian keeps the part of Python that makes such a folder in a package of its own.
    "$found" -m venv .venv 2>/dev/null || { rm -rf .venv; apt python3-venv && "$found" -m venv .venv; } || {
        rm -rf .venv
        echo "setup.sh: $found cannot make a virtual environment; install its venv package (Debian: python3-venv)" >&2
        exit 2
    }
fi

if [ "${1-}" = dev ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
else
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable .
fi
# An editable installation leaves our own files to be compiled at each start where nothing may be written then.
.venv/bin/python -m compileall -q job detectors
