"""Copy groups: copies stay on one side of the split and of every fold, and classes keep their shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from assets.features import labelled_rows, snapshots
from assets.features.copy_groups import with_copy_groups
from assets.spec import ProductSpec
from assets.spec.learning import COPIES
from assets.storage.home import Home
from assets.training import cross_fitting
from tests.models import snapshot_of
from tests.shop import AT_RANDOM, BY_TIME, COLUMNS, product

TOGETHER = {**AT_RANDOM, "copies_together": True}
CONTENT = ["age", "spend", "visits", "churned"]


def repeated(distinct: int = 100, times: int = 4, seed: int = 0) -> pd.DataFrame:
    """Rows of measurements, each several times; a fifth of them churn."""
    random = np.random.default_rng(seed)
    once = pd.DataFrame({name: random.random(distinct).round(9) for name in ("age", "spend", "visits")})
    once["churned"] = np.where(np.arange(distinct) % 5 == 0, "yes", "no")
    whole = pd.concat([once] * times, ignore_index=True)
    return whole.assign(customer_id=[f"C{number:05d}" for number in range(len(whole))])


def spec_of(**split: Any) -> ProductSpec:
    """A product over measurements without a moment."""
    columns = {name: COLUMNS[name] for name in ("customer_id", "visits", "churned", "spend")} | {"age": {"type": "number"}}
    return product(
        "churn", split={**TOGETHER, **split}, baseline={"by": {"age": 0.1}}, evaluation={"bootstrap_replicates": 100},
        source={"file": "customers.csv", "key": ["customer_id"], "columns": columns},
        features={"entity": "customer_id", "groups": {"all": {"age": {}, "spend": {}, "visits": {"max_missing": 0.3}}}},
    )  # fmt: skip


def sides(parts: list[pd.DataFrame]) -> int:
    """On how many sides the content that is on most of them is."""
    marked = pd.concat([part.assign(side=number) for number, part in enumerate(parts)])
    return int(marked.groupby(CONTENT, dropna=False)["side"].nunique().max())


def test_copies_stay_in_one_part_and_in_one_fold(home: Home) -> None:
    """Without it they do not; the parts have their sizes, and their shares of each class."""
    frame = repeated()
    apart = labelled_rows.labelled(spec_of(copies_together=False), snapshots.read(snapshot_of(home, spec_of(), frame)))
    assert sides([part.rows for part in apart.values()]) == 3
    spec = spec_of()
    parts = labelled_rows.labelled(spec, snapshots.read(snapshot_of(home, spec, frame)))
    assert sides([part.rows for part in parts.values()]) == 1
    assert [len(part.rows) for part in parts.values()] == [240, 80, 80]
    assert [part.labels(spec).mean() for part in parts.values()] == [0.2, 0.2, 0.2]
    rows = labelled_rows.joined(list(parts.values()), "all")
    folds = cross_fitting.folds_of(spec, rows, seed=1)
    assert len(folds) == cross_fitting.FOLDS
    assert sides([rows.rows.iloc[fold.test] for fold in folds]) == 1


def test_rows_without_a_label_and_rows_of_their_own_are_dealt_one_by_one(home: Home) -> None:
    """A row that lacks its label is no neighbour that would make copies chance."""
    frame = pd.concat([repeated(times=2), repeated(seed=1, times=1)], ignore_index=True)
    frame["customer_id"] = [f"C{number:05d}" for number in range(len(frame))]
    frame.loc[:9, "churned"] = None
    groups = with_copy_groups(spec_of(), snapshots.read(snapshot_of(home, spec_of(), frame)))[COPIES]
    assert groups.nunique() == 10 + 10 + 90 + 100
    assert set(groups[groups.duplicated()]) == {f"C{number:05d}" for number in range(10, 100)}


def test_the_bootstrap_draws_copies_together(home: Home) -> None:
    """Twenty distinct test rows are twenty clusters; more than a thousand are dealt to a thousand."""
    spec = spec_of()
    test = labelled_rows.labelled(spec, snapshots.read(snapshot_of(home, spec, repeated())))["test"]
    clusters = pd.Series(test.clusters(spec), index=test.rows.index)
    assert clusters.nunique() == 20
    assert clusters.groupby(test.rows[COPIES]).nunique().max() == 1
    assert test.cluster_name(spec) == "groups that keep copies together"
    many = labelled_rows.labelled(spec, snapshots.read(snapshot_of(home, spec, repeated(6000, 2))))["test"]
    assert len(set(many.clusters(spec))) == labelled_rows.CLUSTERS


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({**BY_TIME, "copies_together": True}, "'copies_together', which only a random split has"),
        ({**TOGETHER, "group": "household"}, "groups rows by 'household' and by 'copies_together'"),
    ],
)
def test_it_is_for_a_random_split_without_another_group(split: dict[str, Any], message: str) -> None:
    """Anything else is one clear error."""
    with pytest.raises(ValidationError, match=message):
        product("churn", split=split)
