"""Assembly: declared assets with what they run with; of everything, or of one product that rests on nothing shared."""

from __future__ import annotations

import warnings
from pathlib import Path

import dagster as dg

from assets.spec import ProductSpec, read_declaration
from orchestration.automation import incident_sensor, loop_sensor
from orchestration.dagster_resources import HomeResource, WholeGraph, declared_home
from orchestration.declarations import DEFS, declares_product, is_changed_by_dagster

for category in (dg.BetaWarning, dg.PreviewWarning):
    warnings.filterwarnings("ignore", category=category)


def assemble(declared: dg.Definitions, home: HomeResource | None = None) -> dg.Definitions:
    """Give declared assets what they run with.

    Parameters
    ----------
    declared : dagster.Definitions
        What the components built.
    home : HomeResource, optional
        The home in place of the one that the environment names.
    """
    graph = WholeGraph()
    upstream = dg.ResourceDefinition.hardcoded_resource(graph, "All assets, to look upstream of a run; nothing to set.")
    graph.definitions = dg.Definitions.merge(
        declared,
        dg.Definitions(
            resources={"home": home or declared_home(), "graph": upstream},
            sensors=[loop_sensor(), incident_sensor()],
            # every process of the multiprocess executor would pay the imports again
            executor=dg.in_process_executor,
        ),
    )
    return graph.definitions


def of_product(product: str, defs: Path = DEFS) -> dg.Definitions | None:
    """The definitions of one product alone, if it has a file of its own and so rests on no other declaration.

    Parameters
    ----------
    product : str
        Its name, which is also its folder's.
    defs : Path
        Where declarations lie.

    Returns
    -------
    Definitions or None
        None where the product rests on the warehouse, lies elsewhere, or has keys that only Dagster reads: then all
        definitions are needed.
    """
    from orchestration.components.model_product import ModelProduct

    path = defs / product / "defs.yaml"
    if not path.is_file() or not declares_product(path) or is_changed_by_dagster(path):
        return None
    spec = read_declaration(path, ProductSpec)
    if spec.name != product or spec.as_source() is None:
        return None
    return assemble(ModelProduct(spec, path.parent).build_defs(None))
