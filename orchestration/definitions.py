"""All definitions, loaded from `orchestration/defs`; named by `workspace.yaml`."""

from __future__ import annotations

import warnings
from pathlib import Path

import dagster as dg

from orchestration.resources import WholeGraph, home_from_environment

for category in (dg.BetaWarning, dg.PreviewWarning):
    warnings.filterwarnings("ignore", category=category)


def assemble(declared: dg.Definitions, **resources: object) -> dg.Definitions:
    """Give declared assets what they run with.

    Parameters
    ----------
    declared : dagster.Definitions
        What the components built.
    **resources
        Resources that replace the usual ones, such as ``home``.
    """
    graph = WholeGraph()
    graph.definitions = dg.Definitions.merge(
        declared,
        dg.Definitions(
            resources={"home": home_from_environment(), "graph": graph, **resources},
            # every process of the multiprocess executor would pay the imports again
            executor=dg.in_process_executor,
        ),
    )
    return graph.definitions


defs = assemble(dg.load_from_defs_folder(path_within_project=Path(__file__).parent / "defs"))
