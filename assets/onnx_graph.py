"""From a fitted pipeline to the ONNX graph that is served, the same bytes in every process.

Which estimators convert is skl2onnx's affair; LightGBM's converter is registered here, and a class derived from a
convertible one converts like its base.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.errors import SpecificationError
from assets.methods.calibration import SMALLEST, Scaling
from assets.spec import ProductSpec
from bentos.runtime import OUTPUTS

OPSETS = {"": 18, "ai.onnx.ml": 3}


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
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    last = pipeline.steps[-1][1]
    _round_down_thresholds(last)
    _register(type(last))
    inputs = [
        (name, StringTensorType([None, 1]) if feature.type == "category" else FloatTensorType([None, 1]))
        for name, feature in spec.columns.items()
    ]
    options = None if spec.kind == "regression" else {id(pipeline): {"zipmap": False}}
    try:
        graph = to_onnx(pipeline, initial_types=inputs, options=options, target_opset=OPSETS)
    except (MissingConverter, MissingShapeCalculator, RuntimeError, NotImplementedError) as error:
        raise SpecificationError(
            f"{spec.name}: {spec.model.estimator} does not convert to ONNX ({str(error).splitlines()[0]}), so it cannot be "
            "served. Use or derive from an estimator that skl2onnx converts, or register a converter in the module of your "
            "class (skl2onnx.update_registered_converter)."
        ) from error
    graph.graph.name = spec.name
    _finish(graph, spec, scaling)
    # skl2onnx lists them in the order of a set, which differs from process to process
    imports = sorted(graph.opset_import, key=lambda item: item.domain)
    del graph.opset_import[:]
    graph.opset_import.extend(imports)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def _round_down_thresholds(estimator: Any) -> None:
    """Make thresholds of boosted histograms such that single precision holds them, without moving any row.

    One between two neighbouring single-precision values may round up to the larger, which then takes the other branch in the
    graph. Rounded down, it parts the same single-precision values.
    """
    for trees in getattr(estimator, "_predictors", ()):
        for tree in trees:
            thresholds = tree.nodes["num_threshold"]
            rounded = thresholds.astype(np.float32)
            rounded = np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)
            tree.nodes["num_threshold"] = rounded


def _finish(graph: Any, spec: ProductSpec, scaling: Scaling | None) -> None:
    """Leave one output: values, or probabilities after their scaling."""
    from onnx import TensorProto, helper

    classes = {"binary": 2, "multiclass": len(spec.target.classes or ()), "regression": 1}[spec.kind]
    last = next(output.name for output in graph.graph.output if "label" not in output.name)
    if scaling is None:
        nodes = [helper.make_node("Identity", [last], [OUTPUTS])]
    else:
        constants = {"smallest": [SMALLEST], "largest": [1.0], "slope": [scaling.slope], "intercepts": list(scaling.intercepts)}
        for name, values in constants.items():
            shape = [] if name in ("smallest", "largest") else [len(values)]
            graph.graph.initializer.append(helper.make_tensor(f"scaling_{name}", TensorProto.FLOAT, shape, values))
        nodes = [
            helper.make_node("Clip", [last, "scaling_smallest", "scaling_largest"], ["scaling_kept"]),
            helper.make_node("Log", ["scaling_kept"], ["scaling_logs"]),
            helper.make_node("Mul", ["scaling_logs", "scaling_slope"], ["scaling_steeper"]),
            helper.make_node("Add", ["scaling_steeper", "scaling_intercepts"], ["scaling_scores"]),
            helper.make_node("Softmax", ["scaling_scores"], [OUTPUTS], axis=1),
        ]
    graph.graph.node.extend(nodes)
    del graph.graph.output[:]
    graph.graph.output.append(helper.make_tensor_value_info(OUTPUTS, TensorProto.FLOAT, [None, classes]))


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
