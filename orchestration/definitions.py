"""All definitions, loaded from `orchestration/defs`; named by `workspace.yaml`."""

from __future__ import annotations

import warnings
from pathlib import Path

import dagster as dg

from orchestration.resources import WholeGraph, home_from_environment

warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


def build_definitions(defs_folder: Path | None = None, **resources: object) -> dg.Definitions:
    """Load every declaration.

    Parameters
    ----------
    defs_folder : Path, optional
        The package folder of declarations; None takes our own.
    **resources
        Resources that replace the usual ones, such as ``home``.
    """
    graph = WholeGraph()
    graph.definitions = dg.Definitions.merge(
        dg.load_from_defs_folder(path_within_project=defs_folder or Path(__file__).parent / "defs"),
        dg.Definitions(
            resources={"home": home_from_environment(), "graph": graph, **resources},
            # every process of the multiprocess executor would pay the imports again
            executor=dg.in_process_executor,
        ),
    )
    return graph.definitions


defs = build_definitions()
