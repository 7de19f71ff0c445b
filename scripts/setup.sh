#!/bin/sh
# Sets up .venv from the lock files: `scripts/setup.sh run` for demur itself, `scripts/setup.sh test` for the tests too.
# Does nothing, and needs no network, when the venv already holds what the locks say.
set -eu
cd "$(dirname "$0")/.."
what=${1:-run}
venv=.venv
python=${PYTHON:-python3}
say() { printf 'setup: %s\n' "$*" >&2; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 2; }
[ -x "$venv/bin/python" ] || { say "making $venv"; "$python" -m venv "$venv"; }
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }

wanted=$(cat pyproject.toml requirements/run.lock scripts/setup.sh | cksum)
if [ "$(cat "$venv/.run" 2>/dev/null || true)" != "$wanted" ]; then
    if ! "$venv/bin/python" -c 'import torch, sys; sys.exit(not torch.__version__.startswith("2.13.0"))' 2>/dev/null; then
        say "installing PyTorch 2.13.0"
        pip install torch==2.13.0
    fi
    say "installing locked dependencies"
    pip install --no-deps -r requirements/run.lock
    pip install --no-deps --no-build-isolation -e .
    printf '%s' "$wanted" > "$venv/.run"
fi
[ "$what" = test ] || exit 0

wanted=$(cat requirements/test.lock | cksum)
if [ "$(cat "$venv/.test" 2>/dev/null || true)" != "$wanted" ]; then
    say "installing what the tests need"
    pip install --no-deps -r requirements/test.lock
    printf '%s' "$wanted" > "$venv/.test"
fi

missing=
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v smtp-sink >/dev/null 2>&1 || [ -x /usr/sbin/smtp-sink ] || missing="$missing postfix"
command -v opendkim >/dev/null 2>&1 || [ -x /usr/sbin/opendkim ] || missing="$missing opendkim opendkim-tools"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing from Debian:$missing"
        apt-get update -qq
        # shellcheck disable=SC2086  # a list of package names
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    else
        say "please install:$missing (on Debian: sudo apt-get install$missing); tests that need them will fail"
    fi
fi
