#!/usr/bin/env bash
# Take the README's pictures anew: the UI, the report, the monitor and the replay, as they are in this home. `make pictures` calls it.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v chromium >/dev/null || { echo "No chromium. On Debian 12: sudo apt-get install --no-install-recommends chromium"; exit 1; }
loopline=.venv/bin/loopline port=${PORT:-3579} folder=docs/pictures scratch=$(mktemp -d)

picture() { # name, width, height, address
    timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars \
        --user-data-dir="$scratch/$1" --window-size="$2,$3" --virtual-time-budget=30000 \
        --screenshot="$folder/$1.png" "$4" >/dev/null 2>&1
    echo "$folder/$1.png"
}

$loopline run flight_delay
picture report 1100 1000 "file://$($loopline report flight_delay --path)"
picture monitor 1100 1100 "file://$($loopline monitor flight_delay --path)"
picture replay 1100 1260 "file://$($loopline replay flight_delay --from 2013-04 --to 2013-12 --path)"

set -m # a group of its own; and what is started so hears a signal
LOOPLINE_PAGES_PORT=$((port + 1)) $loopline ui --port "$port" >"$scratch/ui.log" 2>&1 &
ui=$!
trap 'kill -- -$ui && wait $ui; rm -rf "$scratch"' EXIT
for _ in $(seq 60); do
    curl --silent --fail "http://127.0.0.1:$port/server_info" >/dev/null && break
    sleep 1
done
picture ui 2100 2400 "http://127.0.0.1:$port/locations/loopline/asset-groups/flight_delay/lineage"
