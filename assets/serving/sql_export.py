"""Translation: the champion as SQL, for DuckDB, PostgreSQL and Spark, and as a dbt package that scores in the warehouse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.errors import TranslationError
from assets.promotion import adapted_uncertainty, current_artifacts
from assets.promotion.ledger_state import Entry
from assets.serving import dbt_package, onnx_to_sql, uncertainty_sql
from assets.serving.dbt_package import KEPT, RELATION
from assets.serving.sql_operators import number
from assets.spec import ProductSpec
from assets.storage import manifest
from assets.storage.digests import folder_digest
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.sql import identifier, literal
from bentos.runtime import Model

DIALECTS = ("duckdb", "postgres", "spark")
TRANSLATED = (
    "DecisionTree*, RandomForest*, ExtraTrees*, HistGradientBoosting*, LightGBM's, XGBoost's and "
    "CatBoost's classifiers and regressors; "
    "LogisticRegression, LinearRegression, Ridge, Lasso, ElasticNet, and what converts to the same ONNX operators"
)
"""The estimators whose graphs have a translation."""
SLICED = "loopline_slice_{}"
"""The column of a query that holds a category by which answers reach differently far."""
STAND_IN = re.compile(r"\bloopline_trees_[0-9a-f]{16}_\d+\b")
LEAF = re.compile(r"\b(then|else) (-?[\d.]+e[+-]?\d+)")


@dataclass(frozen=True)
class Translated:
    """A published translation: its folder, its digest, and the size of its query for DuckDB."""

    folder: Path
    digest: str
    size_bytes: int


def translate(home: Home, spec: ProductSpec, champion: Entry) -> Translated:
    """Publish the champion as SQL; an earlier translation of the version is replaced.

    Parameters
    ----------
    home, spec
        Where the model lies, and its declaration.
    champion : Entry
        The ledger's entry by which the version serves.

    Raises
    ------
    TranslationError
        If the model's graph has no translation.
    TamperedModelError
        If the model folder's bytes are not those that were promoted.
    """
    kept = [spec.features.entity, *spec.moments]
    relation = str(spec.features.relation or spec.name)
    macros = _macros(home, spec, champion, DIALECTS)
    queries = {name: _filled(text, relation, kept) for name, text in macros.items()}
    folder = home.sql / spec.name / champion.tag
    with draft_folder(home) as scratch:
        draft = scratch / "sql"
        for name, text in queries.items():
            _write(draft / f"{name}.sql", f"-- {_told(spec, champion)}\n{text}\n")
        for name, content in dbt_package.files(spec, _told(spec, champion), macros).items():
            _write(draft / "dbt" / name, content)
        manifest.publish(draft, folder, replaced=scratch / "replaced")
    digest = folder_digest(folder)
    current_artifacts.name(home, folder, digest, champion)
    return Translated(folder, digest, len(queries["duckdb"].encode()))


def query(home: Home, spec: ProductSpec, champion: Entry, *, dialect: str, relation: str, kept: Sequence[str]) -> str:
    """The query that scores a relation.

    Parameters
    ----------
    home, spec, champion
        The model.
    dialect : str
        One of `DIALECTS`.
    relation : str
        What stands after FROM.
    kept : sequence of str
        The columns to hand through.

    Returns
    -------
    str
        Gives the kept columns, the same answers as the batch predictions have, and version and digest of the model.

    Raises
    ------
    TranslationError
        If the model's graph has no translation.
    """
    return _filled(_macros(home, spec, champion, [dialect])[dialect], relation, kept)


def _macros(home: Home, spec: ProductSpec, champion: Entry, dialects: Sequence[str]) -> dict[str, str]:
    """The query by dialect, with `RELATION` for the relation and `KEPT` for the kept columns."""
    folder = home.models / spec.name / champion.model_digest
    model = adapted_uncertainty.adapted(home, spec.name, Model.load(folder, champion.model_digest))
    try:
        # what cuts slices is handed through beside what is kept; nothing that is kept has a feature's name
        handed = [] if model.uncertainty is None or not model.uncertainty.slices else model.uncertainty.by
        found = onnx_to_sql.translate(
            folder / "model.onnx", model.signature["features"], RELATION, [KEPT], {SLICED.format(name): name for name in handed}
        )
    except TranslationError as error:
        raise TranslationError(
            f"{spec.name}: {spec.model.estimator} is not written as SQL: {error} These estimators are: {TRANSLATED}. Choose "
            "one of them, or set serving.sql to off."
        ) from error
    sure = uncertainty_sql.answers(model, found.outputs, SLICED)
    answers = {
        **_answers(model, found.outputs),
        **sure,
        "model_version": str(champion.version),
        "model_digest": literal(model.digest),
    }
    answered = ", ".join(f"{expression} as {identifier(name)}" for name, expression in answers.items())
    texts = {"duckdb": f"with {found.expressions}\nselect {identifier(KEPT)}, {answered} from scored"}
    if others := [name for name in dialects if name != "duckdb"]:
        import sqlglot

        parsed = sqlglot.parse_one(texts["duckdb"], read="duckdb")
        # the others in order, as what suits PostgreSQL changes what is parsed
        for name in sorted(others, key="postgres".__eq__):
            if name == "postgres":
                _suit_postgres(parsed)
            texts[name] = parsed.sql(dialect=name)
    return {name: _with_trees(texts[name], found.trees, name) for name in dialects}


def _with_trees(text: str, trees: Mapping[str, str], dialect: str) -> str:
    """A query with its trees, whose leaves PostgreSQL would take for exact numerics: see `_suit_postgres`."""
    if dialect == "postgres":
        trees = {name: LEAF.sub(r"\1 cast(\2 as double precision)", item) for name, item in trees.items()}
    return STAND_IN.sub(lambda found: trees.get(found[0], found[0]), text)


def _filled(text: str, relation: str, kept: Sequence[str]) -> str:
    """A query over a relation; in Spark's, names stand between backticks."""
    for quoted, names in ((identifier(KEPT), map(identifier, kept)), (f"`{KEPT}`", (f"`{name}`" for name in kept))):
        text = text.replace(quoted, ", ".join(names))
    return text.replace(RELATION, relation)


def _suit_postgres(parsed: Any) -> None:
    """Keep PostgreSQL from computing each step as often as it is named, and in exact numerics."""
    from sqlglot import exp

    for step in parsed.find_all(exp.CTE):
        # a fence: without it the steps are put into each other, and a model's trees are summed up for each mention
        step.this.offset(0, copy=False)
    for branch in list(parsed.find_all(exp.If, exp.Case)):
        for name in ("true", "default"):
            value = branch.args.get(name)
            number = value.this if isinstance(value, exp.Neg) else value
            if value is not None and isinstance(number, exp.Literal) and number.is_number:
                # a number with an exponent is an exact numeric there, unless it meets a column
                branch.set(name, exp.cast(value, "double"))


def _answers(model: Model, outputs: Sequence[str]) -> dict[str, str]:
    """The answers' columns, by kind of target."""
    if model.kind == "binary":
        threshold = number(model.decision["threshold"])
        return {"probability": outputs[1], "is_positive": f"{outputs[1]} >= {threshold}", "threshold": threshold}
    if model.kind == "regression":
        value, margin = outputs[0], number(model.decision["margin"])
        return {
            "prediction": value,
            "planned": f"{value} + {number(model.decision['offset'])}",
            "low": f"{value} - {margin}",
            "high": f"{value} + {margin}",
        }
    classes, costs = model.signature["classes"], model.decision["costs"]
    expected = [
        " + ".join(f"{chance} * {number(row[said])}" for chance, row in zip(outputs, costs, strict=True))
        for said in range(len(classes))
    ]
    least = f"least({', '.join(expected)})"
    whens = " ".join(f"when {cost} <= {least} then {literal(name)}" for name, cost in zip(classes, expected, strict=True))
    chances = {f"probability_{name}": chance for name, chance in zip(classes, outputs, strict=True)}
    return {"predicted_class": f"case {whens} end", **chances}


def _told(spec: ProductSpec, champion: Entry) -> str:
    return f"{spec.name}, version {champion.version}, model {champion.model_digest}: generated by Loopline from its ONNX graph"


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def withdraw(home: Home, product: str, digest: str | None = None) -> None:
    """Let no translation be current, as the champion has none; or remove those of a model, so that nobody takes them."""
    current_artifacts.forget(home.sql / product, digest)
    for written in (home.sql / product).glob(f"v*-{digest[:8]}") if digest else ():
        manifest.remove(written)
