#!/bin/sh
# Walks the dashboard in a browser: over a mock of the API, or, with `live`, over real processes; with `modules` it only fetches what that
# needs. Chromium is taken from CHROMIUM, or as the system has it. What npm brings goes below target/,
# where the other things that are built go, and not beside the sources.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
modules=${REPLICAT_BROWSER_MODULES:-$here/../../../../target/browser-tests}
if [ ! -d "$modules/node_modules/playwright-core" ]; then
    mkdir -p "$modules"
    cp "$here/package.json" "$here/package-lock.json" "$modules/"
    npm ci --prefix "$modules" --no-audit --no-fund
fi
if [ "${1:-}" = modules ]; then
    exit
fi
REPLICAT_BROWSER_MODULES=$modules node "$here/${1:-dashboard}.mjs"
