#!/usr/bin/env bash
# Start Airflow on the loopback with the exported DAGs: `make airflow`. Its files lie in AIRFLOW_HOME, or else build/airflow.
set -euo pipefail
cd "$(dirname "$0")/../.."
airflow=$PWD/.venv-airflow/bin/airflow
[ -x "$airflow" ] || { echo "Airflow is not set up: make airflow" >&2; exit 1; }

export AIRFLOW_HOME=${AIRFLOW_HOME:-$PWD/build/airflow}
export AIRFLOW__CORE__DAGS_FOLDER=$AIRFLOW_HOME/dags
export AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__CORE__PARALLELISM=${AIRFLOW__CORE__PARALLELISM:-4}
export AIRFLOW__API__HOST=127.0.0.1
export AIRFLOW__API__PORT=${AIRFLOW__API__PORT:-8080}
export AIRFLOW__API__BASE_URL=http://127.0.0.1:$AIRFLOW__API__PORT
export AIRFLOW__CORE__EXECUTION_API_SERVER_URL=$AIRFLOW__API__BASE_URL/execution/
export AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False
PATH=$PWD/.venv-airflow/bin:$PATH

mkdir -p "$AIRFLOW_HOME"
"${LOOPLINE:-.venv/bin/loopline}" export airflow "$@" --out "$AIRFLOW__CORE__DAGS_FOLDER"
"$airflow" db migrate >"$AIRFLOW_HOME/migrate.log" 2>&1 || { tail -20 "$AIRFLOW_HOME/migrate.log" >&2; exit 1; }
"$airflow" pools import "$AIRFLOW__CORE__DAGS_FOLDER/pools.json" >"$AIRFLOW_HOME/pools.log" 2>&1 ||
	{ tail -20 "$AIRFLOW_HOME/pools.log" >&2; exit 1; }
echo "Airflow: $AIRFLOW__API__BASE_URL; user and password: $AIRFLOW_HOME/simple_auth_manager_passwords.json.generated"
echo "DAGs start paused: airflow dags unpause --yes --treat-dag-id-as-regex '^loopline_'"
exec "$airflow" standalone
