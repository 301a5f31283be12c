"""Settings of a process before it imports libraries: what they read from its environment, and when Python collects garbage."""

from __future__ import annotations

import gc
import os

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "BENTOML_DO_NOT_TRACK": "True",
    # without it the import alone writes a device id and a database of events under HOME, and a file in TMPDIR
    "ORT_DISABLE_TELEMETRY": "1",
    # MLflow looks for a git commit; a machine without git would be told so in 45 lines
    "GIT_PYTHON_REFRESH": "quiet",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    # spinning OpenMP threads starve each other when a core is busy: training took 29 s instead of 4 s
    "OMP_WAIT_POLICY": "passive",
    # threads of BLAS on the small matrices of a calibration took many times as long as one
    "OPENBLAS_NUM_THREADS": "1",
}


def settle_process() -> None:
    """Set what the libraries read from the environment, before they are imported; what a user set stays."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def collect_rarely() -> None:
    """Let Python look rarely for garbage in cycles: what libraries leave would be looked through again and again."""
    gc.set_threshold(20_000, 50, 100)


def leave_cores_to_workers() -> None:
    """Let each process that is started from now on compute with one thread, so that several do not wait for one another."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
