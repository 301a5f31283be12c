"""Online promise: what a service is told of the online store that its product declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assets.spec.online import key_of, looked_up

if TYPE_CHECKING:
    from assets.spec import ProductSpec
    from bentos.pseudonyms import Treatment


def online_promise(spec: ProductSpec) -> dict[str, Any] | None:
    """What ``promoted.json`` says under ``online``; None where nothing is looked up.

    Returns
    -------
    dict
        ``key``, its columns with ``text``, ``number`` or ``any`` (where only the snapshot knows); ``request``, the features
        that come with it; ``ttl_hours`` by feature; ``stale``; ``store``; ``private``, what the log keeps of a column of
        the key.
    """
    online = spec.serving.online
    if online is None:
        return None
    return {
        "key": {name: _kind(spec, name) for name in key_of(spec)},
        "request": list(online.request),
        "ttl_hours": {name: hours for name, hours in looked_up(spec).items() if hours is not None},
        "stale": online.stale,
        "store": online.store,
        "private": {name: how for name in key_of(spec) if (how := _treatment(spec, name)) != "keep"},
    }


def asks_redis(spec: ProductSpec) -> bool:
    """Whether a product's service asks Redis."""
    return spec.serving.online is not None and spec.serving.online.store is not None


def _kind(spec: ProductSpec, name: str) -> str:
    """What a part of a key may be."""
    if name in spec.columns:
        return "text" if spec.columns[name].type == "category" else "number"
    if spec.source is not None:
        return "text" if spec.source.landed_columns[name] == "text" else "number"
    return "any"


def _treatment(spec: ProductSpec, name: str) -> Treatment:
    """What the prediction log keeps of a part of a key: what `privacy` says, or else `serving.entity` of a key of that name."""
    if name in spec.privacy:
        return spec.privacy[name]
    entity = spec.serving.entity
    return "hash" if entity is not None and entity.name == name and entity.keep == "hash" else "keep"
