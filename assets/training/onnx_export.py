"""From a fitted pipeline to the ONNX graph that is served, the same bytes in every process.

The usual estimators (boosted histograms, LightGBM, XGBoost, CatBoost, exact trees and forests, linear models) are written here
in double precision, so that the graph answers as the pipeline does to the last digits. Any other is skl2onnx's affair, which
converts in single precision; LightGBM's converter is registered for what is not written here, and a class derived from a
convertible one converts like its base.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from assets.errors import SpecificationError
from assets.methods.calibration import SMALLEST, Scaling
from assets.methods.raw_scores import has_margin, is_lightgbm
from assets.spec import ProductSpec
from assets.training import booster_trees, onnx_trees
from assets.training.boosters import library
from assets.training.onnx_nodes import ML, Builder, alike, encoded, linear, probabilities
from bentos.runtime import DOUBLE, OUTPUTS

CONVERTED_OPSETS = {"": 18, ML: 3}
"""What skl2onnx is asked for: later versions of its operators for trees lack a converter."""

Written = tuple[str, int]
"""The tensor of an estimator's raw scores or values, and how many it holds for a row."""


def convert(spec: ProductSpec, pipeline: Any, scaling: Scaling | None) -> bytes:
    """Convert a fitted pipeline, and the scaling of its probabilities, into one graph.

    Parameters
    ----------
    spec : ProductSpec
        The specification: the graph's inputs are its features.
    pipeline : sklearn.pipeline.Pipeline
        Fitted.
    scaling : Scaling, optional
        What its probabilities are rescaled by.

    Raises
    ------
    SpecificationError
        If the estimator has no converter.
    """
    graph = _written(spec, pipeline, scaling) or _converted(spec, pipeline, scaling)
    graph.graph.name = spec.name
    # skl2onnx lists them in the order of a set, which differs from process to process
    imports = sorted(graph.opset_import, key=lambda item: item.domain)
    del graph.opset_import[:]
    graph.opset_import.extend(imports)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def is_double(spec: ProductSpec, pipeline: Any) -> bool:
    """Whether a fitted pipeline is written in double precision, so that the graph answers as it does."""
    return _written(spec, pipeline, None) is not None


def _written(spec: ProductSpec, pipeline: Any, scaling: Scaling | None) -> Any | None:
    """The graph in double precision; None where a step or the estimator is not one that is written here."""
    from onnx import TensorProto, helper

    builder, last = Builder(), pipeline.steps[-1][1]
    columns = encoded(builder, pipeline.named_steps["columns"])
    if columns is None:
        return None
    found = next((done for write in WRITERS if (done := write(builder, columns, last)) is not None), None)
    if found is None:
        return None
    raw, outputs = found
    if spec.kind == "regression":
        builder.add("Identity", [raw], OUTPUTS)
    elif has_margin(last):
        if scaling is not None:
            raw = _rescaled(builder, raw, scaling, is_margin=outputs == 1)
        probabilities(builder, raw, outputs, OUTPUTS)
    else:
        _of_chances(builder, _both(builder, raw) if outputs == 1 else raw, max(outputs, 2), scaling)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.STRING if feature.type == "category" else TensorProto.DOUBLE, [None, 1])
        for name, feature in spec.columns.items()
    ]
    return builder.model(spec.name, inputs, _output(spec), DOUBLE)


def _width(spec: ProductSpec) -> int:
    """How many numbers are served for a row."""
    return {"binary": 2, "multiclass": len(spec.target.classes or ()), "regression": 1}[spec.kind]


def _output(spec: ProductSpec) -> Any:
    """The graph's one output."""
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(OUTPUTS, TensorProto.DOUBLE, [None, _width(spec)])


def _rescaled(builder: Builder, raw: str, scaling: Scaling, *, is_margin: bool) -> str:
    """Raw scores times the slope plus the intercepts."""
    intercepts = scaling.intercepts[1:] if is_margin else scaling.intercepts
    steeper = builder.add("Mul", [raw, builder.constant("slope", np.array([[scaling.slope]]))], "steeper")
    return builder.add("Add", [steeper, builder.constant("offsets", np.array([intercepts]))], "rescaled")


def _both(builder: Builder, chance: str) -> str:
    """The probabilities of no and of yes."""
    one = builder.constant("certain", np.array([[1.0]]))
    return builder.add("Concat", [builder.add("Sub", [one, chance], "chance_no"), chance], "chances", axis=1)


def _of_chances(builder: Builder, chances: str, classes: int, scaling: Scaling | None) -> None:
    """Probabilities as they are, or rescaled by their logarithms."""
    if scaling is None:
        builder.add("Identity", [chances], OUTPUTS)
        return
    ends = builder.constant("smallest", np.array(SMALLEST)), builder.constant("largest", np.array(1.0))
    logs = alike(builder, "Log", builder.add("Clip", [chances, *ends], "kept"), classes, "logs")
    probabilities(builder, _rescaled(builder, logs, scaling, is_margin=False), classes, OUTPUTS)


def _histograms(builder: Builder, columns: str, last: Any) -> Written | None:
    """scikit-learn's boosted histograms."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if (
        not isinstance(last, (HistGradientBoostingClassifier, HistGradientBoostingRegressor))
        or last.is_categorical_ is not None
    ):
        return None
    trees, outputs = onnx_trees.of_histograms(last)
    raw = onnx_trees.ensemble(builder, columns, trees, outputs)
    if isinstance(last, HistGradientBoostingRegressor) and last.loss in ("poisson", "gamma"):
        raw = alike(builder, "Exp", raw, 1, "grown")
    return raw, outputs


def _lightgbm(builder: Builder, columns: str, last: Any) -> Written | None:
    """LightGBM's classifiers and regressors with a plain objective."""
    if not is_lightgbm(last):
        return None
    dump = last.booster_.dump_model()
    if dump["objective"].split()[0] not in ("binary", "multiclass", "regression", "regression_l1", "huber", "quantile"):
        return None
    if "sigmoid:1" not in dump["objective"].split()[1:] and dump["objective"].startswith("binary"):
        return None
    found = onnx_trees.of_lightgbm(dump)
    return None if found is None else (onnx_trees.ensemble(builder, columns, *found), found[1])


def _boosted(builder: Builder, columns: str, last: Any) -> Written | None:
    """scikit-learn's gradient boosting with exact trees, from a constant start."""
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    if not isinstance(last, (GradientBoostingClassifier, GradientBoostingRegressor)) or last.init is not None:
        return None
    if isinstance(last, GradientBoostingClassifier) and last.loss != "log_loss":
        return None
    outputs = last.estimators_.shape[1]
    start = np.asarray(last._raw_predict_init(np.zeros((1, last.n_features_in_))), dtype=np.float64)  # noqa: SLF001
    trees = [onnx_trees.constant(start.reshape(1, -1))]
    for round_ in last.estimators_:
        for output, one in enumerate(round_):
            values = np.zeros((one.tree_.node_count, outputs))
            values[:, output] = last.learning_rate * one.tree_.value[:, 0, 0]
            trees.append(onnx_trees.of_tree(one.tree_, values))
    return onnx_trees.ensemble(builder, _single(builder, columns), trees, outputs), outputs


def _forest(builder: Builder, columns: str, last: Any) -> Written | None:
    """scikit-learn's exact trees, and forests of them: the mean of their leaves."""
    from sklearn.ensemble._forest import ForestClassifier, ForestRegressor
    from sklearn.tree import BaseDecisionTree

    if isinstance(last, (ForestClassifier, ForestRegressor)):
        members = last.estimators_
    elif isinstance(last, BaseDecisionTree):
        members = [last]
    else:
        return None
    trees = []
    for member in members:
        values = member.tree_.value[:, 0, :]
        if hasattr(last, "classes_"):
            values = values / values.sum(axis=1, keepdims=True)
            values = values[:, 1:] if values.shape[1] == 2 else values
        trees.append(onnx_trees.of_tree(member.tree_, values / len(members)))
    outputs = trees[0].values.shape[1]
    return onnx_trees.ensemble(builder, _single(builder, columns), trees, outputs), outputs


def _single(builder: Builder, columns: str) -> str:
    """scikit-learn's exact trees round what they are asked to single precision, and compare in double."""
    from onnx import TensorProto

    return builder.double(builder.add("Cast", [columns], "rounded", to=TensorProto.FLOAT), "rounded_columns")


def _linear(builder: Builder, columns: str, last: Any) -> Written | None:
    """Logistic regression, and regressors that are a weighted sum."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.linear_model._base import LinearModel

    if not isinstance(last, (LogisticRegression, LinearModel)) or np.ndim(last.coef_) > 2:
        return None
    raw = linear(builder, columns, last.coef_, last.intercept_)
    return raw, np.atleast_2d(last.coef_).shape[0]


def _boosters(builder: Builder, columns: str, last: Any) -> Written | None:
    """XGBoost's and CatBoost's."""
    read = {"xgboost": booster_trees.of_xgboost, "catboost": booster_trees.of_catboost}.get(library(type(last)))
    found = None if read is None else read(last)
    return None if found is None else (onnx_trees.ensemble(builder, _single(builder, columns), *found), found[1])


WRITERS: tuple[Callable[[Builder, str, Any], Written | None], ...] = (
    _histograms, _lightgbm, _boosters, _boosted, _forest, _linear,
    lambda builder, columns, last: last.written(builder, columns) if hasattr(last, "written") else None,
)  # fmt: skip
"""Who writes an estimator in double precision; the first that can does."""


def _converted(spec: ProductSpec, pipeline: Any, scaling: Scaling | None) -> Any:
    """skl2onnx's graph, in single precision, with the scaling behind it in double."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    _register(type(pipeline.steps[-1][1]))
    inputs = [
        (name, StringTensorType([None, 1]) if feature.type == "category" else FloatTensorType([None, 1]))
        for name, feature in spec.columns.items()
    ]
    options = None if spec.kind == "regression" else {id(pipeline): {"zipmap": False}}
    try:
        graph = to_onnx(pipeline, initial_types=inputs, options=options, target_opset=CONVERTED_OPSETS)
    except (MissingConverter, MissingShapeCalculator, RuntimeError, NotImplementedError) as error:
        raise SpecificationError(
            f"{spec.name}: {spec.model.estimator} does not convert to ONNX ({str(error).splitlines()[0]}), so it cannot be "
            "served. Use or derive from an estimator that skl2onnx converts, or register a converter in the module of your "
            "class (skl2onnx.update_registered_converter)."
        ) from error
    _finish(graph, spec, scaling)
    return graph


def _finish(graph: Any, spec: ProductSpec, scaling: Scaling | None) -> None:
    """Leave one output: values, or probabilities after their scaling."""
    builder = Builder()
    last = next(output.name for output in graph.graph.output if "label" not in output.name)
    _of_chances(builder, builder.double(last, "converted"), _width(spec), scaling)
    graph.graph.node.extend(builder.nodes)
    graph.graph.initializer.extend(builder.constants)
    del graph.graph.output[:]
    graph.graph.output.append(_output(spec))


def _register(kind: type) -> None:
    """Make a class convertible that skl2onnx does not know: LightGBM's, or one derived from a class that it knows."""
    from skl2onnx import update_registered_converter
    from skl2onnx._supported_operators import sklearn_operator_name_map as known
    from skl2onnx.common._registration import get_converter, get_shape_calculator

    if kind in known:
        return
    if kind.__module__.startswith("lightgbm"):
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
        from skl2onnx.common.shape_calculator import (
            calculate_linear_classifier_output_shapes,
            calculate_linear_regressor_output_shapes,
        )

        is_classifier = kind.__name__ == "LGBMClassifier"
        update_registered_converter(
            kind,
            f"LightGbm{kind.__name__}",
            calculate_linear_classifier_output_shapes if is_classifier else calculate_linear_regressor_output_shapes,
            convert_lightgbm,
            options={"nocl": [True, False], "zipmap": [True, False, "columns"]} if is_classifier else {"split": None},
        )
        return
    base = next((parent for parent in kind.__mro__ if parent in known), None)
    if base is not None:
        update_registered_converter(
            kind,
            f"Derived{kind.__module__.replace('.', '_')}{kind.__name__}",
            _function(get_shape_calculator(known[base])),
            _function(get_converter(known[base])),
            options=get_converter(known[base]).get_allowed_options(),
        )


def _function(registered: Any) -> Any:
    """The function behind what skl2onnx registered."""
    return getattr(registered, "_fct", registered)
