"""The asset checks of a product, as Dagster is told of them before they are evaluated."""

from __future__ import annotations

import dagster as dg

from assets.experiments.experiment_asset import UNHARMED
from assets.experiments.off_policy_asset import OVERLAP
from assets.experiments.shadow_asset import FIT
from assets.features.online_features_asset import READ_BACK
from assets.features.snapshot_asset import CONTRACT
from assets.monitoring.feature_skew_asset import SKEW
from assets.monitoring.monitoring_asset import ALARMS
from assets.promotion.gate_rules import rules_of
from assets.serving.parity_asset import PARITY
from assets.spec import ProductSpec
from assets.spec.phases import PHASE, phase_of


def contract_check(product: str) -> dg.AssetCheckSpec:
    """The check that lets nothing start on a snapshot that breaks its contract."""
    return dg.AssetCheckSpec(
        CONTRACT,
        asset=dg.AssetKey([product, "snapshot"]),
        blocking=True,
        metadata={PHASE: phase_of("features").name},
        description="Types, ranges, vocabularies, missing shares, key, and rules over two columns.",
    )


def gate_checks(spec: ProductSpec) -> list[dg.AssetCheckSpec]:
    """An asset check for each gate rule. None fails the run: a refused challenger changes nothing."""
    return [
        dg.AssetCheckSpec(
            rule.name,
            asset=dg.AssetKey([spec.name, "verdict"]),
            description=rule.description,
            metadata={PHASE: rule.phase},
        )
        for rule in rules_of(spec).values()
    ]


def parity_check(product: str) -> dg.AssetCheckSpec:
    """The check that lets no service follow a champion whose ways disagree."""
    return dg.AssetCheckSpec(
        PARITY,
        asset=dg.AssetKey([product, "parity"]),
        blocking=True,
        metadata={PHASE: phase_of("serving").name},
        description="Outputs within 1e-12 of the model's own (1e-6 for a graph in single precision), and the same decisions.",
    )


def alarms_check(product: str) -> dg.AssetCheckSpec:
    """The check that warns of alarms that stand; it holds nothing up."""
    return dg.AssetCheckSpec(
        ALARMS,
        asset=dg.AssetKey([product, "monitoring"]),
        metadata={PHASE: phase_of("monitoring").name},
        description="No alarm stands: volume, drift of data, model and concept, quality before and after labels.",
    )


def read_back_check(product: str) -> dg.AssetCheckSpec:
    """The check that lets no online store take the place of another if it gives something else than was known."""
    return dg.AssetCheckSpec(
        READ_BACK,
        asset=dg.AssetKey([product, "online_features"]),
        blocking=True,
        metadata={PHASE: phase_of("features").name},
        description="Keys that are read back give what the offline store says as of the moment of the filling.",
    )


def skew_check(product: str) -> dg.AssetCheckSpec:
    """The check that warns of features that were served otherwise than they were known; it holds nothing up."""
    return dg.AssetCheckSpec(
        SKEW,
        asset=dg.AssetKey([product, "feature_skew"]),
        metadata={PHASE: phase_of("monitoring").name},
        description="All logged rows were answered with the features that the offline store says of their moment.",
    )


def unharmed_check(product: str) -> dg.AssetCheckSpec:
    """The check that warns of a harmful arm, or of units that are lost; it holds nothing up."""
    return dg.AssetCheckSpec(
        UNHARMED,
        asset=dg.AssetKey([product, "experiment"]),
        metadata={PHASE: phase_of("experiments").name},
        description="No arm of the running experiment is surely harmful, and units reach the arms in their shares.",
    )


def fit_check(product: str) -> dg.AssetCheckSpec:
    """The check that warns of a shadow that is not fit for a canary."""
    return dg.AssetCheckSpec(
        FIT,
        asset=dg.AssetKey([product, "shadow"]),
        metadata={PHASE: phase_of("experiments").name},
        description="The shadow answered enough requests without errors, and decides much as the champion does.",
    )


def overlap_check(product: str) -> dg.AssetCheckSpec:
    """The check that fails where the log says too little of the rule; then nothing is estimated."""
    return dg.AssetCheckSpec(
        OVERLAP,
        asset=dg.AssetKey([product, "off_policy"]),
        metadata={PHASE: phase_of("experiments").name},
        description="The log is worth 50 rows of the rule's own, and at most 5 % of its decisions were never taken.",
    )
