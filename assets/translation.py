"""Translation: the champion as SQL, for DuckDB, PostgreSQL and Spark, and as a dbt package that scores in the warehouse."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets import dbt_package, graph_sql
from assets.errors import TranslationError
from assets.row_checks import identifier, literal
from assets.spec import ProductSpec
from assets.standing import Entry
from assets.storage import Home, file_digest, read_json, value_digest, write_json
from bentos.runtime import Model

DIALECTS = ("duckdb", "postgres", "spark")
RECORD = "current.json"
"""Which translation is current, and of which model."""
TRANSLATED = (
    "DecisionTree*, RandomForest*, ExtraTrees*, HistGradientBoosting* and LightGBM's classifiers and regressors; "
    "LogisticRegression, LinearRegression, Ridge, Lasso, ElasticNet, and what converts to the same ONNX operators"
)
"""The estimators whose graphs have a translation."""


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
    queries = {name: query(home, spec, champion, dialect=name, relation=relation, kept=kept) for name in DIALECTS}
    macros = {
        name: query(home, spec, champion, dialect=name, relation=dbt_package.RELATION, kept=[dbt_package.KEPT])
        for name in DIALECTS
    }
    folder = home.sql / spec.name / f"v{champion.version}-{champion.model_digest[:8]}"
    home.temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.temporary) as scratch:
        draft = Path(scratch) / "sql"
        for name, text in queries.items():
            _write(draft / f"{name}.sql", f"-- {_told(spec, champion)}\n{text}\n")
        for name, content in dbt_package.files(spec, _told(spec, champion), macros).items():
            _write(draft / "dbt" / name, content)
        if folder.exists():
            shutil.move(folder, Path(scratch) / "replaced")
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(draft, folder)
    digest = digest_of(folder)
    named = {"folder": folder.name, "digest": digest, "model_version": champion.version, "model_digest": champion.model_digest}
    write_json(folder.parent / RECORD, named)
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
    import sqlglot

    model = Model.load(home.models / spec.name / champion.model_digest, champion.model_digest)
    graph = home.models / spec.name / champion.model_digest / "model.onnx"
    try:
        expressions, outputs = graph_sql.translate(graph, model.signature["features"], relation, kept)
    except TranslationError as error:
        raise TranslationError(
            f"{spec.name}: {spec.model.estimator} is not written as SQL: {error} These estimators are: {TRANSLATED}. Choose "
            "one of them, or set serving.sql to off."
        ) from error
    answers = {**_answers(model, outputs), "model_version": str(champion.version), "model_digest": literal(model.digest)}
    handed = [identifier(name) for name in kept]
    selected = ", ".join([*handed, *(f"{expression} as {identifier(name)}" for name, expression in answers.items())])
    text = f"with {expressions}\nselect {selected} from scored"
    if dialect == "duckdb":
        return text
    parsed = sqlglot.parse_one(text, read="duckdb")
    if dialect == "postgres":
        _suit_postgres(parsed)
    return parsed.sql(dialect=dialect)


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
        threshold = graph_sql.number(model.decision["threshold"])
        return {"probability": outputs[1], "is_positive": f"{outputs[1]} >= {threshold}", "threshold": threshold}
    if model.kind == "regression":
        value, margin = outputs[0], graph_sql.number(model.decision["margin"])
        return {
            "prediction": value,
            "planned": f"{value} + {graph_sql.number(model.decision['offset'])}",
            "low": f"{value} - {margin}",
            "high": f"{value} + {margin}",
        }
    classes, costs = model.signature["classes"], model.decision["costs"]
    expected = [
        " + ".join(f"{chance} * {graph_sql.number(row[said])}" for chance, row in zip(outputs, costs, strict=True))
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


def digest_of(folder: Path) -> str:
    """The digest of a translation's files."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return value_digest([[file.relative_to(folder).as_posix(), file_digest(file)] for file in files])


def current(home: Home, product: str) -> Path | None:
    """The folder of the current translation, if there is one."""
    record = home.sql / product / RECORD
    return home.sql / product / read_json(record)["folder"] if record.exists() else None


def withdraw(home: Home, product: str, digest: str | None = None) -> None:
    """Let no translation be current, as the champion has none; or remove those of a model, so that nobody takes them."""
    folder = home.sql / product
    record = folder / RECORD
    if record.exists() and digest in (None, read_json(record)["model_digest"]):
        record.unlink()
    for written in folder.glob(f"v*-{digest[:8]}") if digest else ():
        shutil.rmtree(written)
