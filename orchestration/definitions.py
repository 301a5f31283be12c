"""All definitions, loaded from `orchestration/defs`; named by `workspace.yaml`.

Not by `dg.load_from_defs_folder`: that also imports every installed library of components, to list them in the UI, and with
dagster-dbt's that takes longer than all else.
"""

from __future__ import annotations

import dagster as dg

from orchestration.assembly import assemble
from orchestration.declarations import DEFS, is_anything_declared

# Dagster raises an error of its own on a folder without declarations, and on a second `Definitions` of a module
defs = assemble(dg.ComponentTree.for_project(DEFS).build_defs_at_path(DEFS) if is_anything_declared() else dg.Definitions())
