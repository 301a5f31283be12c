"""The rule on transfer: what was learnt from another model is no worse for it, and the other knew no row that judges it."""

from __future__ import annotations

from collections.abc import Iterator

from assets.evaluation.findings import Finding, more_rows, told_gain
from assets.promotion.gate_rule import Records
from assets.spec import ProductSpec


def transfer(spec: ProductSpec, records: Records) -> Iterator[Finding]:
    """No negative transfer: the model is not surely worse than the same estimator fitted on the product's rows alone."""
    if (record := records.get("transfer")) is None:
        yield Finding("transfer", "it gains by its source", "nobody compared it with scratch and with the source", passed=False)
        return
    source, rows = record["source"], record["rows"]
    scratch, untouched = record["gain"]["scratch"], record["gain"]["untouched"]
    yield Finding(
        "transfer", f"{spec.metric} is not surely worse than the same estimator's from scratch", told_gain(scratch, rows),
        scratch["high"] >= 0, key="transfer:negative", remedy=f"Remove 'model.learning': {source} harms.",
    )  # fmt: skip
    yield Finding(
        "transfer", f"{spec.metric} is surely better than the same estimator's from scratch", told_gain(scratch, rows),
        scratch["low"] > 0, basis="watched", remedy=more_rows(scratch, rows),
    )  # fmt: skip
    yield Finding(
        "transfer", f"{spec.metric} is not surely worse than that of {source} as it is", told_gain(untouched, rows),
        untouched["high"] >= 0, basis="watched", remedy=f"Serve {source} for these rows, or learn with 'how: refit'.",
    )  # fmt: skip
    shared, later = record["shared_entities"], record["later_source_rows"]
    told = [f"{shared:,} are such rows" if shared else "", f"{later:,} rows are later than the first of these" if later else ""]
    yield Finding(
        "transfer", f"no row that {source} was learnt from is one that judges, or later than the first of them",
        "; ".join(filter(None, told)) or "none is", not (shared or later),
        remedy=f"Let {source} be learnt from other and earlier rows: split both by the same months.",
    )  # fmt: skip
    known = record.get("shared_validation_entities", 0)
    yield Finding(
        "transfer", f"no row that {source} was learnt from is one that chose calibration and decision rule",
        f"{known:,} are such rows" if known else "none is", not known,
        remedy=f"Remove 'model.refit' of {source}, or let it be learnt from other rows.",
    )  # fmt: skip
