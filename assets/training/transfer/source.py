"""Transfer source: the model that is learnt from, as a graph that scores rows, and its trees where they can be read.

It is the champion of another product, an ONNX file, or a LightGBM model file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import DataError, SpecificationError
from assets.methods.calibration import chances, of_two
from assets.spec import ProductSpec
from assets.spec.ways_of_learning import LightgbmFileSpec, OnnxFileSpec
from assets.storage.digests import file_digest
from assets.storage.home import Home
from assets.training import onnx_trees
from assets.training.estimators import TRUSTED
from assets.training.onnx_trees import Tree
from assets.training.transfer.files import place
from assets.training.transfer.source_scores import SourceScores
from bentos.runtime import OUTPUTS, Model, session_of


@dataclass(frozen=True)
class Source:
    """A model that is learnt from.

    Parameters
    ----------
    scores : SourceScores
        What it answers.
    outputs : int
        How many scores that are.
    digest : str
        Of the model, or of the file.
    steps : tuple of (str, transformer, list of str)
        How its trees see the features: the fitted steps of its columns.
    trees : list of Tree
        Its trees; none where they cannot be read.
    """

    scores: SourceScores
    outputs: int
    digest: str
    steps: Sequence[tuple[str, Any, list[str]]] = ()
    trees: Sequence[Tree] = ()


def of_product(home: Home, spec: ProductSpec, product: str, digest: str) -> Source:
    """A product's model by its digest."""
    folder = home.models / product / digest
    model = Model.load(folder, digest)
    names = tuple(model.signature["features"])
    scores = SourceScores((folder / "model.onnx").read_bytes(), OUTPUTS, spec.kind, names)
    return Source(scores, outputs_of(spec), digest, *_trees_of(folder, model.signature["estimator"]))


def of_file(spec: ProductSpec, given: OnnxFileSpec | LightgbmFileSpec) -> Source:
    """A model file.

    Raises
    ------
    SpecificationError
        If it is none, or asks for other features than are declared.
    """
    path = place(given)
    try:
        digest = file_digest(path)
        if isinstance(given, OnnxFileSpec):
            return Source(_onnx_scores(spec, path), outputs_of(spec), digest)
        return _lightgbm(spec, path, digest)
    except OSError as error:
        raise SpecificationError(
            f"{spec.name}: {path} cannot be read ({error}). Correct 'model.learning.transfer.from'."
        ) from error


def outputs_of(spec: ProductSpec) -> int:
    """How many scores a model of this product's kind gives for a row."""
    return len(spec.target.classes or ()) if spec.kind == "multiclass" else 1


def _trees_of(folder: Path, estimator: str) -> tuple[list[tuple[str, Any, list[str]]], list[Tree]]:
    """How a stored pipeline's trees see the features, and the trees; nothing of an estimator without trees."""
    import skops.io

    from assets.methods.scaled import ScaledClassifier

    fitted = skops.io.load(folder / "model.skops", trusted=[*TRUSTED, estimator])
    fitted = fitted.classifier if isinstance(fitted, ScaledClassifier) else fitted
    trees = onnx_trees.of_estimator(fitted.named_steps["estimator"])
    steps = [
        (name, step, list(used))
        for name, step, used in fitted.named_steps["columns"].transformers_
        if name not in ("source", "remainder") and len(used)
    ]
    return steps, trees


def _onnx_scores(spec: ProductSpec, path: Path) -> SourceScores:
    """The scores of an ONNX file, of which it is known that they are the file's own answers."""
    import onnx

    try:
        inner = onnx.load(path).graph
    except Exception as error:
        raise SpecificationError(f"{spec.name}: {path} is no ONNX file ({type(error).__name__}). Export it again.") from error
    given = [item.name for item in inner.input if item.name not in {constant.name for constant in inner.initializer}]
    numbers = [name for name, feature in spec.columns.items() if feature.type == "number"]
    names = tuple(given)
    if not set(given) <= set(spec.columns):
        width = inner.input[0].type.tensor_type.shape.dim[-1].dim_value if len(given) == 1 else 0
        if len(given) != 1 or width not in (0, len(numbers)):
            raise SpecificationError(
                f"{spec.name}: {path.name} takes {', '.join(given)}{f' with {width} columns' if width else ''}, which are not "
                f"features of this product. It has: {', '.join(spec.columns)}. Export it with an input for each, or one "
                f"tensor of all {len(numbers)} numbers in order."
            )
        names = tuple(numbers)
    outputs = [item for item in inner.output if "label" not in item.name and item.type.HasField("tensor_type")]
    width = 1 if spec.kind == "regression" else max(outputs_of(spec), 2)
    fitting = [item for item in outputs if [dim.dim_value for dim in item.type.tensor_type.shape.dim][1:] in ([width], [])]
    if not fitting or (fitting[-1].type.tensor_type.shape.dim[1:] == [] and width > 1):
        raise SpecificationError(
            f"{spec.name}: {path.name} has no output with {width} {'value' if width == 1 else 'probabilities'} for a row. Its "
            f"outputs: {', '.join(item.name for item in inner.output)}. Export it without ZipMap (zipmap=False)."
        )
    return SourceScores(path.read_bytes(), fitting[-1].name, spec.kind, names)


def _lightgbm(spec: ProductSpec, path: Path, digest: str) -> Source:
    """A LightGBM model file: numbers by name, and a plain objective."""
    from lightgbm import Booster
    from lightgbm.basic import LightGBMError

    try:
        booster = Booster(model_file=str(path))
    except LightGBMError as error:
        raise SpecificationError(f"{spec.name}: {path} is no LightGBM model ({error}). Save it with save_model.") from error
    dump, names = booster.dump_model(), booster.feature_name()
    columns = spec.columns
    if strange := sorted(name for name in names if name not in columns or columns[name].type != "number"):
        numbers = ", ".join(name for name, feature in columns.items() if feature.type == "number")
        raise SpecificationError(
            f"{spec.name}: {path.name} takes {', '.join(strange)}, which are no numbers among this product's features. "
            f"Numbers: {numbers}. Declare the features that it was trained on, by the same names."
        )
    found = onnx_trees.of_lightgbm(dump)
    if dump["objective"].split()[0] != spec.kind or found is None or found[1] != outputs_of(spec):
        raise SpecificationError(
            f"{spec.name}: {path.name} has the objective {dump['objective']}, and this product is {spec.kind}. Give a model "
            "with the plain objective of this kind, that splits by numbers alone."
        )
    content = onnx_trees.scoring_graph(names, *found, kind=spec.kind)
    scores = SourceScores(content, OUTPUTS, spec.kind, tuple(names))
    return Source(scores, outputs_of(spec), digest, [("numbers", "passthrough", names)], found[0])


def require_same_answers(spec: ProductSpec, source: Source, frame: Any) -> None:
    """Hold the source's scores, by the nodes that will be served, against the answers of its graph alone.

    Raises
    ------
    DataError
        If its operators mean something else among ours.
    """
    some, alone = frame.iloc[:50], session_of(source.scores.graph)
    if not set(source.scores.names) <= {item.name for item in alone.get_inputs()}:
        columns = some[list(source.scores.names)].to_numpy()
        feeds = {alone.get_inputs()[0].name: columns.astype(_precision(alone.get_inputs()[0]))}
    else:
        feeds = {item.name: some[item.name].to_numpy().reshape(-1, 1).astype(_precision(item)) for item in alone.get_inputs()}
    answers = np.asarray(alone.run([source.scores.output], feeds)[0], dtype=np.float64).reshape(len(some), -1)
    scores = source.scores.transform(some)
    if spec.kind != "regression":
        scores = chances(of_two(scores) if spec.kind == "binary" else scores)
    if not np.abs(scores - answers).max() <= 1e-5 * max(1.0, float(np.abs(answers).max())):
        raise DataError(
            f"{spec.name}: the source's graph answers otherwise within the served one. Export it for opset 18, ai.onnx.ml 5."
        )


def _precision(item: Any) -> Any:
    return {"tensor(string)": object, "tensor(float)": "float32"}.get(item.type, "float64")
