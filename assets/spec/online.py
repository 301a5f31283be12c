"""What a product declares of its online store: features by key, which the service looks up for `POST /predict_by_key`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from assets.spec.base import Declaration, Name

if TYPE_CHECKING:
    from assets.spec.product import ProductSpec

Hours = Annotated[float, Field(gt=0)]


class OnlineSpec(Declaration):
    """Features by key: which are looked up, how old they may be, and where they are kept."""

    key: tuple[Name, ...] = Field(default=(), strict=False, examples=[["tail_number"]])
    """List the columns by which features are asked; left out, it is features.entity."""
    request: tuple[Name, ...] = Field(default=(), strict=False, examples=[["overdue_flights"]])
    """List the features that only a request knows; it must bring them, and all others are looked up."""
    ttl_hours: Hours | None = Field(default=None, examples=[24])
    """Give the hours after which looked-up features are too old to be used; left out, they never are."""
    ttl_hours_of: dict[Name, Hours] = Field(default_factory=dict, examples=[{"weather": 3}])
    """Give the hours of groups of features that age otherwise than ttl_hours."""
    stale: Literal["refuse", "missing"] = Field(default="refuse", examples=["missing"])
    """Say what becomes of a request whose features are too old: refuse (422), or missing, an answer without them."""
    store: Annotated[str, Field(pattern=r"^rediss?://[A-Za-z0-9.-]+(:\d{1,5})?(/\d{1,3})?$")] | None = Field(
        default=None, examples=["redis://cache.example:6379/0"]
    )
    """Give a Redis as redis://host:port/number, without user and password; left out, it is a SQLite file in the home."""

    @model_validator(mode="after")
    def _names_stand_once(self) -> OnlineSpec:
        for field, names in (("key", self.key), ("request", self.request)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"lists {twice} twice in '{field}'. Keep each once")
        return self

    def keys(self, entity: str) -> tuple[str, ...]:
        """The columns by which features are asked, where `entity` identifies a row."""
        return self.key or (entity,)

    def ttl_of(self, group: str) -> float | None:
        """The hours after which the features of a group are too old; None if they never are."""
        return self.ttl_hours_of.get(group, self.ttl_hours)


def looked_up(spec: ProductSpec) -> dict[str, float | None]:
    """The features that are looked up by key, in declared order, each with the hours after which it is too old."""
    online = spec.serving.online or OnlineSpec()
    return {
        name: online.ttl_of(group)
        for group, features in spec.features.groups.items()
        for name in features
        if name not in online.request
    }


def key_of(spec: ProductSpec) -> tuple[str, ...]:
    """The columns by which features are asked."""
    return (spec.serving.online or OnlineSpec()).keys(spec.features.entity)


def require_online(spec: ProductSpec) -> None:
    """Refuse an online store that does not fit the product's features.

    Raises
    ------
    ValueError
        With what is allowed.
    """
    online, features = spec.serving.online, spec.features
    if online is None:
        return
    feature_names = [name for group in features.groups.values() for name in group]
    keys = [features.entity, *feature_names]
    if unknown := sorted(set(online.key).difference(keys)):
        raise ValueError(
            f"has serving.online.key {unknown}, which are neither its entity nor features. Columns: {', '.join(keys)}"
        )
    if unknown := sorted(set(online.request).difference(feature_names)):
        raise ValueError(f"has serving.online.request {unknown}, which are no features. Features: {', '.join(feature_names)}")
    if unknown := sorted(set(online.ttl_hours_of).difference(features.groups)):
        raise ValueError(
            f"has serving.online.ttl_hours_of {unknown}, which are no groups. Groups: {', '.join(features.groups)}"
        )
    if both := sorted(set(online.request).intersection(online.key)):
        raise ValueError(f"has {both} in serving.online.key and in its request. A key comes with each request: remove it there")
    found = looked_up(spec)
    if not set(found).difference(online.key):
        raise ValueError("has a serving.online that looks nothing up: all features come with the request. Remove it")
    aging = [name for name, hours in found.items() if hours is not None and name not in online.key]
    if features.event_time is None and aging:
        raise ValueError(
            "has hours in serving.online without features.event_time, so nothing tells how old a feature is. Name it"
        )
    required = [name for name in aging if not spec.columns[name].max_missing]
    if online.stale == "missing" and required:
        raise ValueError(
            f"answers without stale features (serving.online.stale), but the model needs {required}. Give them max_missing, or "
            "refuse"
        )
