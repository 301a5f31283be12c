"""Changes: what a variant declares otherwise than its product; it is validated as a declaration is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from assets.errors import SpecificationError
from assets.spec import ProductSpec
from assets.spec.features import FeaturesSpec
from assets.spec.learning import ModelSpec


@dataclass(frozen=True)
class Changes:
    """What is declared otherwise.

    Parameters
    ----------
    features : sequence of str, optional
        The features that are kept, by name; left out, all.
    estimator : str, optional
        Another estimator's import path. Its parameters are those of `parameters` alone.
    parameters : mapping of str, optional
        Parameters of the estimator; of the declared one those that are another, and None for one that is no more declared.
    """

    features: Sequence[str] | None = None
    estimator: str | None = None
    parameters: Mapping[str, Any] | None = None

    @property
    def are_none(self) -> bool:
        """Whether all is as it is declared."""
        return self.features is None and self.estimator is None and not self.parameters

    def applied(self, spec: ProductSpec) -> ProductSpec:
        """The changed declaration.

        Raises
        ------
        SpecificationError
            If it could not be declared.
        """
        if self.are_none:
            return spec
        if spec.tune is not None:
            raise SpecificationError(
                f"{spec.name}: 'tune' searches the parameters, and a changed declaration would be searched anew, so no variant "
                "can be tried for it. Remove 'tune' from the declaration first."
            )
        try:
            parts = {**_parts(spec), "features": self._features(spec), "model": self._model(spec)}
            return ProductSpec.model_validate(parts)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            told = first.get("ctx", {}).get("error", first["msg"])
            raise SpecificationError(
                f"{spec.name}: this variant cannot be declared: {f'{place} ' if place else ''}{told}. Change the variant."
            ) from error

    def as_json(self) -> dict[str, Any]:
        """What is changed, by part."""
        given = {"features": self.features and list(self.features), "estimator": self.estimator, "parameters": self.parameters}
        return {name: value for name, value in given.items() if value is not None}

    def _features(self, spec: ProductSpec) -> FeaturesSpec:
        if self.features is None:
            return spec.features
        if unknown := sorted(set(self.features).difference(spec.columns)):
            raise SpecificationError(
                f"{spec.name}: there is no feature {', '.join(unknown)}. Declared are: {', '.join(spec.columns)}. A new one is "
                "declared first, and computed by the warehouse or the product's file."
            )
        groups = {
            group: {name: feature for name, feature in items.items() if name in self.features}
            for group, items in spec.features.groups.items()
        }
        return FeaturesSpec.model_validate(
            {**_parts(spec.features), "groups": {name: kept for name, kept in groups.items() if kept}}
        )

    def _model(self, spec: ProductSpec) -> ModelSpec:
        declared = spec.model.parameters if self.estimator in (None, spec.model.estimator) else {}
        merged = {**declared, **(self.parameters or {})}
        parameters = {name: value for name, value in merged.items() if value is not None}
        estimator = self.estimator or spec.model.estimator
        return ModelSpec.model_validate({**_parts(spec.model), "estimator": estimator, "parameters": parameters})


def _parts(declared: Any) -> dict[str, Any]:
    """The fields of a declaration, each as it was read."""
    return {name: getattr(declared, name) for name in type(declared).model_fields}
