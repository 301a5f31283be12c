"""The ML Test Score: the 28 tests of Breck et al. 2017, each with its probe; a test is added by one line."""

from __future__ import annotations

from orchestration.operations.maturity import history_probes as history
from orchestration.operations.maturity import repository_probes as repository
from orchestration.operations.maturity.criterion import RUN, Criterion
from orchestration.operations.maturity.scene import Evidence, Scene

DATA, MODEL, INFRASTRUCTURE, MONITORING = "data", "model", "infrastructure", "monitoring"
SECTIONS = (DATA, MODEL, INFRASTRUCTURE, MONITORING)
AGAIN = f"{RUN}; a second run on new data or a changed declaration earns the other half"


def _none(_: Scene) -> list[Evidence]:
    """Nothing that is recorded shows it."""
    return []


made, checked = history.stage_made, history.stage_checked
ML_TEST_SCORE = (
    Criterion("feature_schema", DATA, "Feature expectations are captured in a schema", checked("snapshot", "contract"), AGAIN),
    Criterion(
        "useful_features",
        DATA,
        "All features are beneficial",
        history.useful_features,
        f"{AGAIN}. Leave out features that move nothing",
    ),
    Criterion(
        "feature_cost",
        DATA,
        "No feature's cost is too much",
        _none,
        "write down what each feature costs; name the document in `governance.reviews.feature_cost`",
    ),
    Criterion("feature_requirements", DATA, "Features adhere to meta-level requirements", checked("verdict", "leakage"), AGAIN),
    Criterion(
        "privacy",
        DATA,
        "The data pipeline has appropriate privacy controls",
        history.privacy_controls,
        "declare `privacy`; where nothing is private, a document says so: `governance.reviews.privacy`",
    ),
    Criterion(
        "new_features",
        DATA,
        "New features can be added quickly",
        history.added_features,
        f"add a feature to the declaration, and {RUN}",
    ),
    Criterion(
        "feature_code",
        DATA,
        "All input feature code is tested",
        history.feature_code_tests,
        f"give the relation dbt tests, and {AGAIN}",
    ),
    Criterion(
        "reviewed_spec",
        MODEL,
        "Model specs are reviewed and submitted",
        repository.reviewed_declaration,
        "commit the declaration; a line `Reviewed-by: NAME`, of somebody else, in the commit earns the other half",
    ),
    Criterion(
        "online_metrics",
        MODEL,
        "Offline and online metrics correlate",
        history.labelled_periods,
        "tell outcomes, or land labels of later rows; then `loopline run PRODUCT`",
    ),
    Criterion("tuned", MODEL, "All hyperparameters have been tuned", made("tuning"), f"declare `tune`, and {RUN}"),
    Criterion(
        "staleness_impact",
        MODEL,
        "The impact of model staleness is known",
        history.replays,
        "`loopline replay PRODUCT` compares never retraining with other policies",
    ),
    Criterion("simpler_model", MODEL, "A simpler model is not better", checked("verdict", "simple_models"), AGAIN),
    Criterion("slices", MODEL, "Model quality is sufficient on important data slices", checked("verdict", "slices"), AGAIN),
    Criterion(
        "inclusion",
        MODEL,
        "The model is tested for considerations of inclusion",
        history.figures_by_group,
        "declare `governance.protected`, and the same features in `evaluation.slices`",
    ),
    Criterion(
        "reproducible",
        INFRASTRUCTURE,
        "Training is reproducible",
        history.repeated_trainings,
        "materialize `PRODUCT/model` once more in the UI: the same inputs must give the same model",
    ),
    Criterion(
        "unit_tests",
        INFRASTRUCTURE,
        "Model specs are unit tested",
        repository.unit_tests,
        "write tests that name the product; CI that runs them earns the other half",
    ),
    Criterion(
        "integration_tests",
        INFRASTRUCTURE,
        "The ML pipeline is integration tested",
        repository.integration_tests,
        "write a test of its loop under `tests/e2e`; CI that runs it earns the other half",
    ),
    Criterion(
        "validated",
        INFRASTRUCTURE,
        "Model quality is validated before serving",
        history.promoted_by_the_gate,
        "let the gate promote a model, without an override",
    ),
    Criterion("debuggable", INFRASTRUCTURE, "The model is debuggable", made("explanations"), AGAIN),
    Criterion(
        "canaried",
        INFRASTRUCTURE,
        "Models are canaried before serving",
        history.experiments,
        "declare a shadow or a canary, and start it: `loopline experiment start PRODUCT NAME`",
    ),
    Criterion(
        "rolled_back",
        INFRASTRUCTURE,
        "Serving models can be rolled back",
        history.decided("rollback"),
        "try it: `loopline rollback PRODUCT --reason drill`, and promote the version again",
    ),
    Criterion(
        "dependency_changes",
        MONITORING,
        "Dependency changes result in notification",
        repository.alerts,
        "`make alerts`; a receiver on another machine in `deploy/monitoring/alertmanager.yml` earns the other half",
    ),
    Criterion("input_invariants", MONITORING, "Data invariants hold for inputs", history.input_rules, AGAIN),
    Criterion("no_skew", MONITORING, "Training and serving are not skewed", checked("parity", "parity"), AGAIN),
    Criterion(
        "not_stale",
        MONITORING,
        "Models are not too stale",
        history.retraining_was_decided,
        "declare `retrain.triggers` and switch the sensor on, or `loopline retrain PRODUCT --reason …`",
    ),
    Criterion("numerically_stable", MONITORING, "Models are numerically stable", checked("verdict", "robustness"), AGAIN),
    Criterion("performance", MONITORING, "Computing performance has not regressed", checked("verdict", "latency"), AGAIN),
    Criterion("quality", MONITORING, "Prediction quality has not regressed on served data", history.watched, AGAIN),
)
"""Breck, Cai, Nielsen, Salib and Sculley 2017: The ML Test Score. Two pieces of evidence earn a point, one earns half."""
