"""All definitions, loaded from `orchestration/defs`; named by `workspace.yaml`."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from orchestration.assembly import assemble

defs = assemble(dg.load_from_defs_folder(path_within_project=Path(__file__).parent / "defs"))
