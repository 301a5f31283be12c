"""The levels of Microsoft and of Google: what each asks, with its probe; a criterion is added by one line."""

from __future__ import annotations

from orchestration.operations.maturity import history_probes as history
from orchestration.operations.maturity import repository_probes as repository
from orchestration.operations.maturity.criterion import RUN, Criterion

made, checked = history.stage_made, history.stage_checked
LEVEL_1, LEVEL_2, LEVEL_3, LEVEL_4 = "1", "2", "3", "4"
MICROSOFT = (
    Criterion(
        "version_control", LEVEL_1, "Code is version controlled", repository.version_control, "put the project under git"
    ),
    Criterion("ci", LEVEL_1, "Application code has automated tests", repository.ci, "let CI run `make test`"),
    Criterion("data_gathered", LEVEL_1, "The data pipeline gathers data automatically", history.input_rules, RUN),
    Criterion("automated_build", LEVEL_1, "Builds are automated", made("bento"), RUN),
    Criterion("automated_training", LEVEL_2, "Model training is automated", made("model"), RUN),
    Criterion("tracking", LEVEL_2, "Training performance is tracked centrally", made("evaluation"), RUN),
    Criterion(
        "model_management",
        LEVEL_2,
        "Models are managed: versions, with what they were made of",
        history.decided("promotion"),
        RUN,
    ),
    Criterion(
        "reproduced", LEVEL_2, "Training is reproducible", history.repeated_trainings, "see `reproducible` of the ML Test Score"
    ),
    Criterion(
        "automated_release", LEVEL_3, "Release of a model is automatic", history.promoted_by_the_gate, "let the gate promote"
    ),
    Criterion("scoring_tests", LEVEL_3, "Scoring code is tested before release", checked("parity", "parity"), RUN),
    Criterion(
        "ab_testing",
        LEVEL_3,
        "A/B tests of model performance are part of deployment",
        history.experiments,
        "see `canaried` of the ML Test Score",
    ),
    Criterion(
        "pipeline_tests",
        LEVEL_3,
        "All code has automated tests, the pipeline's too",
        repository.integration_tests,
        "see `integration_tests` of the ML Test Score",
    ),
    Criterion("production_metrics", LEVEL_4, "Deployed models give verbose, central metrics", history.watched, RUN),
    Criterion("alerting", LEVEL_4, "Metrics raise alerts", repository.alerts, "`make alerts`"),
    Criterion(
        "tuned_alarms",
        LEVEL_4,
        "Alarms are tuned to the product",
        history.tuned_alarms,
        "declare thresholds of its own in `monitoring`, as docs/drift.md says how often they err",
    ),
    Criterion(
        "triggered_retraining",
        LEVEL_4,
        "Production metrics start a training by themselves",
        history.retrained_by_trigger,
        "declare `retrain.triggers` and switch the product's sensor on",
    ),
    Criterion(
        "unattended_runs",
        LEVEL_4,
        "Runs need nobody",
        history.runs_by_themselves,
        "switch the product's schedule on in the UI, or run the daemon",
    ),
)
"""Microsoft's MLOps maturity model, levels 0 to 4, by its technical highlights; level 0 asks nothing."""
GOOGLE = (
    Criterion("orchestrated", LEVEL_1, "The pipeline's steps are orchestrated", made("evaluation"), RUN),
    Criterion("data_validation", LEVEL_1, "Data is validated automatically", checked("snapshot", "contract"), RUN),
    Criterion("model_validation", LEVEL_1, "Models are validated automatically", checked("verdict", "quality"), RUN),
    Criterion(
        "features_published", LEVEL_1, "Training and serving read the same published features", checked("parity", "parity"), RUN
    ),
    Criterion("metadata", LEVEL_1, "Metadata of runs and artifacts is kept", history.decided("promotion"), RUN),
    Criterion(
        "continuous_training",
        LEVEL_1,
        "Triggers start trainings in production",
        history.retrained_by_trigger,
        "declare `retrain.triggers` and switch the product's sensor on",
    ),
    Criterion("source_control", LEVEL_2, "Source control", repository.version_control, "put the project under git"),
    Criterion("test_services", LEVEL_2, "Test and build services run the tests", repository.ci, "let CI run `make test`"),
    Criterion(
        "pipeline_ci",
        LEVEL_2,
        "The pipeline is tested by CI",
        repository.integration_tests,
        "see `integration_tests` of the ML Test Score",
    ),
    Criterion("continuous_delivery", LEVEL_2, "Validated models are delivered as services automatically", made("bento"), RUN),
    Criterion("registry", LEVEL_2, "A model registry", history.promoted_by_the_gate, "let the gate promote"),
    Criterion("performance_monitoring", LEVEL_2, "Models in production are monitored", history.watched, RUN),
)
"""Google's levels 0 to 2 (MLOps: continuous delivery and automation pipelines in machine learning); level 0 asks nothing."""
