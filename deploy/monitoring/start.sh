#!/bin/bash
# Start Prometheus, Alertmanager and Pushgateway on the loopback, as far as they are installed; Ctrl-C stops them.
set -u
here=$(cd "$(dirname "$0")" && pwd)
data=${LOOPLINE_HOME:-$here/../../data}/prometheus
mkdir -p "$data"
started=0

start() { # name, program, what it is for, arguments
    local name=$1 program=$2 purpose=$3
    shift 3
    if command -v "$program" >/dev/null; then
        "$program" "$@" >"$data/$name.log" 2>&1 &
        started=$((started + 1))
        echo "$name: started, log in $data/$name.log"
    else
        echo "$name: not installed ($purpose). On Debian 12: sudo apt-get install --no-install-recommends $program"
    fi
}

trap 'kill $(jobs -p) 2>/dev/null' EXIT
start pushgateway prometheus-pushgateway "takes what batch runs push" --web.listen-address=127.0.0.1:9091
start alertmanager prometheus-alertmanager "tells people" --config.file="$here/alertmanager.yml" \
    --storage.path="$data/alertmanager" --web.listen-address=127.0.0.1:9093 --cluster.listen-address=
start prometheus prometheus "keeps metrics, evaluates alerts: http://127.0.0.1:9090" --config.file="$here/prometheus.yml" \
    --storage.tsdb.path="$data/tsdb" --web.listen-address=127.0.0.1:9090
command -v grafana-server >/dev/null || echo "grafana: not installed (dashboards). It is not in Debian: see grafana.com"
[ "$started" -gt 0 ] || exit 1
echo "push with: LOOPLINE_PUSHGATEWAY=127.0.0.1:9091 make run    (or: loopline metrics --push 127.0.0.1:9091)"
wait
