#!/bin/sh
# The browser tests drive a real Chromium: find it, or install Debian's where that is possible without asking anybody.
set -eu

command -v chromium >/dev/null 2>&1 && exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo -n"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if command -v apt-get >/dev/null 2>&1 && $as_root true 2>/dev/null; then
    echo "Installing Chromium for the browser tests ..."
    if $as_root apt-get update >"$log" 2>&1 &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium >>"$log" 2>&1 &&
        command -v chromium >/dev/null 2>&1; then
        exit 0
    fi
    tail -n 20 "$log" >&2
fi

echo "The browser tests need Chromium as the command \`chromium\`: install it (Debian: apt-get install chromium) and run this again." >&2
exit 1
