"""Runs an exported pipeline whole with kfp's local runner, a process a task: ``python kubeflow_run.py PROGRAM FOLDER``.

It runs in `.venv-kubeflow` (`make kubeflow`), and imports nothing of ours.
"""

from __future__ import annotations

import runpy
import sys


def main(program: str, folder: str) -> None:
    """Run the pipeline with its own defaults; artifacts go to the folder."""
    from kfp import local

    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=folder, raise_on_error=True)
    runpy.run_path(program)["pipeline"]()


if __name__ == "__main__":
    main(*sys.argv[1:])
