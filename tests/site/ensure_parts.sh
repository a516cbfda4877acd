#!/bin/sh
# A production site is tested on real parts: find PostgreSQL, Redis, nginx and libfaketime (a clock that jumps), or
# install Debian's where that is possible without asking anybody.
set -eu

there() {
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && command -v redis-server >/dev/null 2>&1 &&
        command -v nginx >/dev/null 2>&1 && ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1
}

there && exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo -n"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if command -v apt-get >/dev/null 2>&1 && $as_root true 2>/dev/null; then
    echo "Installing PostgreSQL, Redis, nginx and libfaketime for the tests of a production site ..."
    # No service is started: the tests start servers of their own, in folders of their own.
    if $as_root apt-get update >"$log" 2>&1 &&
        $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
            apt-get install -y --no-install-recommends postgresql redis-server nginx-light openssl libfaketime >>"$log" 2>&1 && there; then
        exit 0
    fi
    tail -n 20 "$log" >&2
fi

echo "The tests of a production site need PostgreSQL, Redis, nginx and libfaketime: install them (Debian: apt-get install postgresql redis-server nginx-light libfaketime) and run this again." >&2
exit 1
