"""What a model product declares: one model, from its data to its service."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, model_validator

from assets.spec.base import Declaration, Name
from assets.spec.declared_columns import Declared, columns_of
from assets.spec.experiments import ExperimentSpec, require_distinct
from assets.spec.fallback import require_fallback
from assets.spec.features import FeatureSpec, FeaturesSpec, Kind, TargetSpec
from assets.spec.gates import GatesSpec
from assets.spec.governance import CardSpec, GovernanceSpec
from assets.spec.judging import DECIDING, METRICS, PRICES, BaselineSpec, CostSpec, EvaluationSpec, PromotionSpec
from assets.spec.learning import ModelSpec, SplitSpec, TuneSpec
from assets.spec.monitoring import MonitoringSpec, RetrainSpec
from assets.spec.online import require_online
from assets.spec.privacy import LandedKeySpec, PrivacySpec, require_columns
from assets.spec.replay import ReplaySpec
from assets.spec.retention import RetentionSpec
from assets.spec.schedule import ScheduleSpec
from assets.spec.serving import ServingSpec
from assets.spec.source import InlineSourceSpec, SourceSpec, TableSpec
from assets.spec.texts import require_texts
from assets.spec.uncertainty import AbstainSpec, UncertaintySpec, require_uncertainty

DATA = "data"
"""The name of the one table of a product that declares its own file."""


class ProductSpec(Declaration):
    """A model product: one model, from its data to its service."""

    name: Name = Field(examples=["flight_delay"])
    """Give the product's name: lower case, digits and underscores."""
    description: str = Field(examples=["Whether a flight from New York arrives 15 or more minutes late."])
    """Say what is predicted, when, and for whom."""
    owner: str = Field(default="team:ml", pattern=r"^(team:[\w-]+|[^@\s]+@[^@\s]+)$", examples=["team:operations"])
    """Give an e-mail address or team:NAME."""
    source: InlineSourceSpec | None = Field(
        default=None, examples=[{"file": "customers.csv", "key": ["id"], "columns": {"id": {"type": "integer"}}}]
    )
    """Declare the product's own file; left out where 'features.relation' names a warehouse relation."""
    features: FeaturesSpec = Field(
        examples=[{"relation": "features.flight_delay", "entity": "id", "groups": {"all": {"age": {"type": "number"}}}}]
    )
    """Declare the features."""
    target: TargetSpec = Field(examples=[{"column": "is_late", "kind": "binary", "meaning": "the flight is late"}])
    """Declare the target."""
    rules: dict[Name, str] = Field(
        default_factory=dict, examples=[{"known_after_prediction": "label_known_utc > predicted_utc"}]
    )
    """Give contract rules over two columns, by name, as 'left < right' (also <=, ==, >=, >)."""
    split: SplitSpec = Field(examples=[{"by": "months", "train": 8, "validation": 2, "test": 2}])
    """Declare the split."""
    model: ModelSpec = Field(examples=[{"estimator": "sklearn.linear_model.LogisticRegression"}])
    """Declare the model."""
    tune: TuneSpec | None = Field(default=None, examples=[{"trials": 20, "parameters": {"max_iter": {"low": 50, "high": 300}}}])
    """Declare a search for better parameters; left out, those of 'model' are used."""
    cost: CostSpec = Field(examples=[{"missed": 5.0, "false_alarm": 1.0}])
    """Declare the costs."""
    uncertainty: UncertaintySpec | None = Field(default=None, examples=[{"coverage": 0.9, "by": ["origin"]}])
    """Declare that each answer says how sure it is; left out, only values do, by 90 % intervals. See docs/uncertainty.md."""
    abstain: AbstainSpec | None = Field(default=None, examples=[{"cost": 0.5}])
    """Declare what it costs that answers that are too uncertain are no decision; left out, every row is decided."""
    baseline: BaselineSpec = Field(examples=[{"by": {"carrier": None}}])
    """Declare the baseline table."""
    evaluation: EvaluationSpec = Field(default=EvaluationSpec(), examples=[{"slices": ["origin"]}])
    """Declare how uncertainty is measured."""
    gates: GatesSpec = Field(default=GatesSpec(), examples=[{"metrics": {"roc_auc": {"min": 0.68}}}])
    """Declare the limits that a challenger must keep."""
    promotion: PromotionSpec = Field(default=PromotionSpec(), examples=[{"metric": "roc_auc"}])
    """Declare how a challenger beats the champion."""
    serving: ServingSpec = Field(default=ServingSpec(), examples=[{"workers": 2}])
    """Declare the service's limits."""
    monitoring: MonitoringSpec = Field(default=MonitoringSpec(), examples=[{"period": "week"}])
    """Declare how the champion is watched."""
    publish: Literal["delta", "iceberg"] | None = Field(default=None, examples=["delta"])
    """Say in which format snapshots and monthly predictions are kept as lake tables, too; left out, in none."""
    privacy: PrivacySpec = Field(default_factory=dict, examples=[{"plan": "hash", "age": "drop"}])
    """Say what the prediction log and pages keep of a column: keep, hash (its keyed hash) or drop; see docs/privacy.md."""
    landed_key: LandedKeySpec | None = Field(
        default=None, examples=[{"table": "flights.flights", "key": "{year:04}-{month:02}-{day:02}_{carrier}{flight}"}]
    )
    """Say how the warehouse makes the entity's key of landed columns, for `loopline forget`; left out, one has its name."""
    retrain: RetrainSpec = Field(default=RetrainSpec(), examples=[{"triggers": ["drift", "quality"], "cooldown_days": 14}])
    """Declare what may start a training by itself."""
    replay: ReplaySpec = Field(default=ReplaySpec(), examples=[{"training_cost": 100.0}])
    """Declare how its history is played again to compare policies of retraining."""
    experiments: tuple[ExperimentSpec, ...] = Field(
        default=(),
        strict=False,
        examples=[
            [
                {
                    "name": "cheaper_threshold",
                    "arms": {"control": "champion", "treatment": "challenger"},
                    "unit": "customer_id",
                    "minimal_effect": 0.05,
                }
            ]
        ],
    )
    """List the experiments on live traffic; nothing that is made depends on them. See docs/experiments.md."""
    retention: RetentionSpec = Field(default=RetentionSpec(), examples=[{"keep_champions": 3, "prediction_log_days": 90}])
    """Declare what `loopline prune` keeps; it removes nothing unless it is called."""
    schedule: ScheduleSpec = Field(default=ScheduleSpec(), examples=[{"cron": "0 6 * * 1"}])
    """Declare when the product's job looks for something to do."""
    card: CardSpec = Field(default=CardSpec(), examples=[{"limits": ["Knows only flights from New York."]}])
    """Declare what the model card says beside figures."""
    governance: GovernanceSpec = Field(default=GovernanceSpec(), examples=[{"risk_class": "minimal"}])
    """Declare what only people know: purpose, risks, oversight, data. Nothing that is made depends on it."""

    @model_validator(mode="after")
    def _features_come_from_one_place(self) -> ProductSpec:
        if (self.source is None) == (self.features.relation is None):
            raise ValueError("needs exactly one of 'source' and 'features.relation'. Give one of them")
        if self.source is None:
            untyped = [name for group in self.features.groups.values() for name, item in group.items() if item.type is None]
            if untyped:
                raise ValueError(f"has features without a type: {untyped}. Give each category or number")
            return self
        known = self.source.landed_columns
        wanted = [name for name in (*self.snapshot_columns, self.split.group) if name is not None]
        missing = [name for name in wanted if name not in known]
        if missing:
            raise ValueError(f"uses {missing}, which 'source' does not declare. Declared are: {', '.join(known)}")
        dated = [feature.known_at for group in self.features.groups.values() for feature in group.values()]
        for name in (self.features.event_time, self.features.predicted_at, self.target.known_at, *dated):
            if name is not None and known[name] != "timestamp":
                raise ValueError(f"uses '{name}' as a moment, but 'source' declares it as {known[name]}. Make it a timestamp")
        for name, feature in self.columns.items():
            text = known[name] in ("text", "timestamp")
            if known[name] == "timestamp" or (feature.type == "number" and text):
                raise ValueError(f"uses '{name}' as a {feature.type}, but it is a {known[name]}. Use a number or a category")
        return self

    @model_validator(mode="after")
    def _predictions_have_other_names(self) -> ProductSpec:
        clashing = sorted({self.features.entity, *self.moments}.intersection(self.prediction_columns))
        if clashing:
            raise ValueError(
                f"identifies or dates its rows by {clashing}, which is also the name of a column of its predictions. Rename it "
                "with 'name' in 'source', or in the file or the warehouse"
            )
        return self

    @model_validator(mode="after")
    def _columns_agree(self) -> ProductSpec:
        columns, target = self.columns, self.target
        if leaked := sorted({target.column, target.known_at or "", *target.unlabelled_because}.intersection(columns)):
            raise ValueError(f"uses {leaked} as features, but they are known only after the event. Remove them")
        if unknown := sorted(set(self.baseline.by).difference(columns)):
            raise ValueError(f"has a baseline by {unknown}, which are not features. Features: {', '.join(columns)}")
        if binned := sorted(name for name, width in self.baseline.by.items() if width and columns[name].type == "category"):
            raise ValueError(f"has a baseline that bins {binned}, which are categories. Give null for their width")
        categories = [name for name, feature in columns.items() if feature.type == "category"]
        if strange := sorted(set(self.evaluation.slices).difference(categories)):
            raise ValueError(f"has slices by {strange}, which are no categories. Categories: {', '.join(categories) or 'none'}")
        if self.split.by != "random" and self.features.event_time is None:
            raise ValueError(f"is split by {self.split.by} without features.event_time. Name it, or split by random")
        if self.serving.months is not None and self.features.event_time is None:
            raise ValueError("has serving.months without features.event_time. Name it, or remove the months")
        require_fallback(self)
        require_online(self)
        require_texts(self)
        require_uncertainty(self)
        known = self.snapshot_columns
        require_columns(self.privacy, (*known, *(self.source.landed_columns if self.source else ())))
        for name, rule in self.rules.items():
            parts = re.fullmatch(r"\s*(\w+)\s*(<=|>=|==|<|>)\s*(\w+)\s*", rule)
            if parts is None or parts[1] not in known or parts[3] not in known:
                raise ValueError(
                    f"has rule {name}: '{rule}', which is not 'left < right' over its columns. Columns: {', '.join(known)}"
                )
        return self

    @model_validator(mode="after")
    def _figures_fit_the_kind(self) -> ProductSpec:
        kind, metrics = self.target.kind, METRICS[self.target.kind]
        prices = PRICES[kind]
        lacking = [name for name in prices if getattr(self.cost, name) is None]
        others = [name for names in PRICES.values() for name in names if name not in prices and getattr(self.cost, name)]
        if lacking or others or (self.cost.pairs and kind != "multiclass"):
            raise ValueError(f"is {kind} and needs cost {' and '.join(prices)}, and no other. Correct 'cost'")
        strange = {name for said in self.cost.pairs.values() for name in said} | set(self.cost.pairs)
        if strange := strange.difference(self.target.classes or ()):
            raise ValueError(f"has cost.pairs of {sorted(strange)}, which are no classes. Classes: {self.target.classes}")
        named = [*self.gates.metrics, *([self.promotion.metric] if self.promotion.metric else [])]
        if unknown := sorted(set(named).difference(metrics)):
            raise ValueError(f"judges by {unknown}, which a {kind} target does not have. Metrics: {', '.join(metrics)}")
        for name, gate in self.gates.metrics.items():
            low, high = metrics[name]
            if (gate.min is not None and gate.min > high) or (gate.max is not None and gate.max < low):
                raise ValueError(f"has a gate on {name} that can never pass: it lies between {low:g} and {high:g}. Correct it")
        if kind == "multiclass" and (directed := sorted(name for name, item in self.columns.items() if item.monotone)):
            raise ValueError(f"declares {directed} monotone, which the probabilities of several classes cannot be. Remove it")
        require_distinct(self.experiments, kind)
        if unknown := sorted(set(self.monitoring.drift.ignore).difference(self.columns)):
            raise ValueError(f"ignores the drift of {unknown}, which are not features. Features: {', '.join(self.columns)}")
        if unknown := sorted(set(self.governance.protected).difference(self.columns)):
            raise ValueError(f"protects {unknown}, which are not features. Features: {', '.join(self.columns)}")
        if unknown := sorted(set(self.gates.leakage.known).difference(self.columns)):
            raise ValueError(f"knows why {unknown} are strong, but they are not features. Features: {', '.join(self.columns)}")
        return self

    @property
    def kind(self) -> Kind:
        """What kind of target it is."""
        return self.target.kind

    @property
    def module(self) -> str:
        """The name by which its wheel is imported."""
        return f"{self.name}_model"

    @property
    def metric(self) -> str:
        """The metric that decides a promotion."""
        return self.promotion.metric or DECIDING[self.kind]

    @property
    def moments(self) -> tuple[str, ...]:
        """The columns that date a row: the event's moment, and the prediction's where it is another."""
        named = (self.features.event_time, self.features.predicted_at)
        return tuple(name for name in named if name is not None)

    @property
    def prediction_columns(self) -> tuple[str, ...]:
        """What stands in a table of predictions beside the entity and the moments."""
        found = self.target.prediction_columns
        if self.uncertainty is None:
            return found
        own = () if self.kind == "regression" else ("prediction_set", "is_certain")
        return (*found, *own, *(() if self.abstain is None else ("is_abstained",)))

    @property
    def columns(self) -> dict[str, FeatureSpec]:
        """All features by name, in declared order, with what they take over from the columns of 'source'."""
        return columns_of(Declared(self.features, self.source))

    @property
    def prices(self) -> dict[str, Any]:
        """The costs in the form that the kind's statistics take."""
        if self.kind != "multiclass":
            return {name: getattr(self.cost, name) for name in PRICES[self.kind]}
        classes = self.target.classes or ()
        return {
            "costs": [
                [0.0 if true == said else self.cost.pairs.get(true, {}).get(said, self.cost.wrong) for said in classes]
                for true in classes
            ]
        }

    @property
    def snapshot_columns(self) -> tuple[str, ...]:
        """All columns a snapshot holds, each once: identity, moments, features, label, and by what rows are grouped."""
        features, target = self.features, self.target
        named = (
            features.entity,
            *self.moments,
            *(name for group in features.groups.values() for name in group),
            *(feature.known_at for group in features.groups.values() for feature in group.values()),
            target.column,
            target.known_at,
            *target.unlabelled_because,
            self.split.group,
            self.model.client_column,
        )
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def as_source(self) -> SourceSpec | None:
        """The product's own file as a source of one table; None where it reads the warehouse."""
        if self.source is None:
            return None
        table = TableSpec.model_validate(self.source.model_dump(exclude={"distribution"}))
        place = {"folder": "."} if self.source.distribution is None else {"distribution": self.source.distribution}
        return SourceSpec.model_validate(
            {"name": self.name, "description": self.description, "owner": self.owner, "tables": {DATA: table}, **place}
        )
