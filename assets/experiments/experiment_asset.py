"""The asset `experiment`: a look at the experiment that runs, and what follows from it, with a check that nothing is harmed."""

from __future__ import annotations

from datetime import UTC, datetime

from assets.experiments import stages, steering
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult, CheckResult, Link
from assets.storage.digests import value_digest
from assets.storage.home import Home

UNHARMED = "unharmed"


def look_at_experiment(home: Home, spec: ProductSpec) -> AssetResult:
    """Look at the test or canary that runs, if one does; a harmful arm is taken back, a canary may grow."""
    runs = stages.current(home, spec)
    if runs is None or runs[1].kind == "shadow":
        told = "no experiment runs" if runs is None else f"'{runs[1].experiment}' is a shadow, which has no arms"
        return AssetResult(value_digest(told), {"told": told}, None, [CheckResult(UNHARMED, passed=True, warns=True)])
    found = steering.look_at(home, spec, *runs, datetime.now(UTC))
    look = found.look
    figures = {
        "experiment": look.experiment,
        "verdict": look.verdict,
        "told": look.told,
        "units": sum(arm["units"][-1] for arm in look.arms),
        "sample_ratio_p": look.mismatch,
        "page": Link(home.relative(found.page)),
    }
    if found.entry is not None:
        figures["stage"] = found.entry.stage[1]
    result = CheckResult(
        UNHARMED, look.verdict not in {"harmful", "mismatch"}, {"verdict": look.verdict, "told": look.told}, warns=True
    )
    return AssetResult(value_digest(look.as_json()), figures, found.page, [result])
