"""Rules on baselines: a model that must be read, kept and watched tells more than a table of means or a formula does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from assets.evaluation.findings import Basis, Finding, figure_of, limited, more_rows, told_gain
from assets.methods.simple_models import SIMPLE_MODELS
from assets.promotion.gate_rule import Records
from assets.spec import ProductSpec

LEAST_KEPT_WHEN_SERVED = 0.5
"""The share of the cross-fitted gain that the model itself must not surely fall below on the test rows."""

TOLERATED_SHARE = 0.05
"""The share of its gain over the constant by which a model may be worse than a table of means that only warns."""

LINEAR_ESTIMATORS = "sklearn.linear_model."


def baselines(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """The deciding metric is surely better than each baseline's; than the table's where that is declared so."""
    record = records.get("evaluation", {})
    for name in ("constant", "table"):
        requirement = f"{spec.metric} is surely better than the {name} baseline's"
        gain = record.get("gain", {}).get(name, {}).get(spec.metric)
        if gain is None or gain["low"] is None:
            yield Finding("baselines", requirement, "the evaluation does not compare them", passed=False)
            continue
        told = told_gain(gain, record["rows"])
        # means of a feature or two may be all there is to learn: only the user knows whether a model must tell more
        only_warns = name == "table" and spec.baseline.level == "warning" and gain["high"] >= -_tolerated(spec, record)
        basis: Basis = "watched" if only_warns else "required"
        if name == "table" and spec.baseline.level == "warning" and not only_warns:
            requirement = f"{spec.metric} is not surely and clearly worse than the {name} baseline's"
        yield Finding("baselines", requirement, told, gain["low"] > 0, basis, remedy=more_rows(gain, record["rows"]))
    if record.get("clusters", {}).get("are_too_few"):
        yield Finding(
            "baselines", "rows of enough days or groups judge the model",
            f"they are {record['clusters']['of']}: intervals tell nothing of other ones", passed=False, basis="watched",
            remedy="Bring rows of more of them.",
        )  # fmt: skip
    if (kept := record.get("kept_when_served")) is not None:
        remedy = "The model is worse than others that were made as it was: train again."
        if spec.split.by != "random":
            remedy = (
                "What was learnt does not hold for the latest rows: bring features that say what changed, or only later rows."
            )
        draft = Finding(
            "baselines", "the share of the cross-fitted gain over the constant that the model itself has on the test rows", "",
            passed=False, remedy=remedy,
        )  # fmt: skip
        yield limited(draft, figure_of(kept), low=LEAST_KEPT_WHEN_SERVED, as_share=True)


def _tolerated(spec: ProductSpec, record: Mapping[str, Any]) -> float:
    """By how much a model may be worse than a table of means that only warns."""
    gain = record.get("gain", {}).get("constant", {}).get(spec.metric)
    return TOLERATED_SHARE * max(0.0, gain["value"]) if gain else 0.0


def simple_models(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """The deciding metric is surely better than that of a linear and of an additive model; it warns where it is not."""
    record, estimator = records.get("simple_models", {}), str(records.get("evaluation", {}).get("estimator", ""))
    if estimator.startswith(LINEAR_ESTIMATORS):
        requirement = f"{spec.metric} is surely better than simple models'"
        yield Finding("simple_models", requirement, "it is a simple model", passed=True, basis="watched")
        return
    for name in SIMPLE_MODELS:
        requirement, gain = f"{spec.metric} is surely better than the {name} model's", record.get(name, {}).get("gain")
        if gain is None or gain["low"] is None:
            yield Finding("simple_models", requirement, "it is not compared", passed=False, basis="watched")
            continue
        told = told_gain(gain, record["rows"])
        remedy = (
            f"The {name} model ({SIMPLE_MODELS[name][spec.kind != 'regression'][0]}) may do: declare it in 'model' and compare."
        )
        yield Finding("simple_models", requirement, told, gain["low"] > 0, "watched", remedy=remedy)
