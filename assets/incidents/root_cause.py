"""Root cause: inputs are put back one group at a time until the metric returns; what brings it back is named, or nothing is.

First what is exact: rows that are there twice, values of the same rows in another snapshot, another version of the model.
Then columns and their declared groups whose values are others, which is asked without labels: guilty is that without which, in
both periods, the fall surely closes. What none of these explains is the relation of the columns to the label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assets.incidents.changed_columns import changed, plainly_changed
from assets.incidents.compared import Compared
from assets.incidents.exact_causes import KEPT, SURE, Earlier, is_enough, other_model, other_values, repeated_rows
from assets.incidents.places import of_columns, of_labels, places
from assets.incidents.suspects import Suspect
from assets.methods.paired_fall import Effect, effect
from assets.methods.several_hypotheses import holm
from assets.methods.shapley_shares import shares
from bentos.runtime import Model

MOST_ASKED = 6
"""Of more sets of columns the surest by fewer rows are judged by all; the others count as tried."""
ROUNDS = 4
"""So many columns, or groups of them, are put back together at most."""
Tried = tuple[frozenset[str], Effect, float]
"""Columns, what closes with them unknown, and its adjusted p-value."""
Sure = tuple[str, float]
"""What is other of columns, told for people, and the adjusted p-value by which they are guilty."""
ORDERS = 10
"""Orders that are averaged for the shares of more than eight groups."""
MOST_ROWS, FEWER_ROWS = 40_000, 5000
"""Rows of each period by which columns are judged, and by which they are looked through before."""
RELATION_SURE = 0.01
"""The relation explains any fall, so the fall must be surer."""


def root_cause(
    sides: Compared,
    groups: Mapping[str, Sequence[str]],
    *,
    earlier: Sequence[Earlier] = (),
    models: Mapping[str, Model] | None = None,
    slices: Sequence[str] = (),
    with_shares: bool = False,
) -> dict[str, Any]:
    """Name what made the metric fall.

    Parameters
    ----------
    sides : Compared
        The reference, now, the model and the metric.
    groups : mapping of str to sequence of str
        The features by group.
    earlier : sequence of Earlier
        What other snapshots say of the rows of now.
    models : mapping of str to Model
        Other versions of the model, by name.
    slices : sequence of str
        The columns by which rows are told apart where a cause is in some of them only.
    with_shares : bool
        Also tell what each group accounts for, over all sets of groups (Shapley); it takes 2 ** n_groups looks.

    Returns
    -------
    dict
        ``guilty``: the suspects that bring the metric back, the first is the one that closes most; ``suspects``: all that
        were tried, ranked; ``fall`` and what was compared.
    """
    groups = {name: columns for name, columns in groups.items() if columns}  # a champion may know none of one's
    started, tried = sides, list[Suspect]()
    for suspect, after in _exact(sides, earlier, models or {}):
        tried.append(suspect)
        if suspect.is_guilty:
            sides = after
    if not any(item.is_guilty for item in tried) or sides.gap.value >= sides.worth:
        tried += _of_columns(sides, groups, slices)
    guilty = sorted((item for item in tried if item.is_guilty), key=lambda item: -item.effect.value)
    others = sorted((item for item in tried if not item.is_guilty), key=lambda item: -item.effect.value)
    return {
        "metric": sides.scorer.metric,
        "reference": _told(started, 0),
        "now": _told(started, 1),
        "fall": {"value": started.gap.value, "error": started.gap.error, "p_value": started.gap.p_value},
        "worth": started.worth,
        "guilty": [item.as_json() for item in guilty],
        "suspects": [item.as_json() for item in (*guilty, *others)],
        "shares": _shares(sides.sampled(FEWER_ROWS), groups) if with_shares else {},
    }


def _shares(sides: Compared, groups: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """What of the fall each group of columns accounts for when any of the others is put back before it."""

    def closes(some: frozenset[str]) -> float:
        return float(sides.closed([column for name in some for column in groups[name]])[0]) if some else 0.0

    return shares(list(groups), closes, orders=ORDERS, seed=sides.seed)


def _told(sides: Compared, side: int) -> dict[str, Any]:
    rows, values = (sides.reference, sides.before) if side == 0 else (sides.now, sides.after)
    first, last = rows.span
    return {"from": first, "to": last, "rows": len(rows), "days": len(rows.days), "value": float(values[0])}


def _exact(sides: Compared, earlier: Sequence[Earlier], models: Mapping[str, Model]) -> Iterable[tuple[Suspect, Compared]]:
    """What is known to be otherwise, one after the other, each on what the guilty ones before it left."""
    if (twice := repeated_rows(sides)) is not None:
        suspect, rows = twice
        yield suspect, sides.with_now(rows)
        if suspect.is_guilty:
            return  # other snapshots are aligned with the rows as they were
    for item in earlier:
        if (other := other_values(sides, item)) is not None:
            suspect, rows = other
            after = sides.with_now(rows)
            yield suspect, after
            sides = after if suspect.is_guilty else sides
    for name, model in models.items():
        suspect, after = other_model(sides.sampled(MOST_ROWS), name, model)
        yield suspect, after
        sides = after if suspect.is_guilty else sides


def _of_columns(sides: Compared, groups: Mapping[str, Sequence[str]], slices: Sequence[str]) -> list[Suspect]:
    """Columns and groups whose values are others, one after the other; else what relation to the label is another."""
    many, few = sides.sampled(MOST_ROWS), sides.sampled(FEWER_ROWS)
    group_of = {column: name for name, columns in groups.items() for column in columns}
    whole = [frozenset(columns) for columns in groups.values()]
    # what can be seen of columns alone is asked first: there is little of it, and mostly nothing where nothing is wrong
    plain = {column: seen for column in group_of if (seen := plainly_changed(few, column))}
    beside = [group for group in whole if group & plain.keys()]
    alone = {column: "; ".join(told) for group in beside for column in group if (told := changed(few, [column]))}
    parts = _parts(alone, [*([column] for column in plain), [*plain], *beside])
    sure, unchanged = _search(many, few, [*parts], lambda columns: parts[columns])
    sure = _trimmed(many, sure, alone)
    if not sure:
        asked = list(dict.fromkeys([*whole, *(frozenset([column]) for column in group_of)]))
        sure, unchanged = _search(many, few, asked, lambda columns: "; ".join(changed(few, sorted(columns))))
    if sure:
        hidden = frozenset[str]().union(*sure)
        where = places(many, of_columns(many, sorted(hidden)), slices)
        guilty = [replace(item, where=where) for item in _named(many, group_of, sure, alone)]
        left = effect(many.gaps - many.closed(hidden), many.degrees)
        if left.p_value <= RELATION_SURE and left.value >= many.worth and (every := _relation(many, slices)).is_guilty:
            guilty.append(every)  # wrong labels take from each column what it was worth, also from one whose values moved
    else:
        guilty = [_unexplained(many, slices, group_of, unchanged)]
    named = {item.name for item in guilty}
    ranked = _ranked(few, frozenset(), whole)
    tried = [_suspect(few, group_of[min(columns)], columns, item, p_value) for columns, item, p_value in ranked]
    return [*guilty, *(item for item in tried if item.name not in named)]


def _parts(alone: Mapping[str, str], sets: Iterable[Iterable[str]]) -> dict[frozenset[str], str]:
    """Of each set the columns whose values are others by themselves, and how: together they may cost what none does alone."""
    parts = ([column for column in sorted(columns) if column in alone] for columns in sets)
    return {frozenset(part): "; ".join(alone[column] for column in part) for part in parts if part}


def _search(
    many: Compared, few: Compared, asked: Sequence[frozenset[str]], seen: Callable[[frozenset[str]], str]
) -> tuple[dict[frozenset[str], Sure], list[Tried]]:
    """Sets of columns that close what surely counts, one after the other; where there is none, those of values as before."""
    hidden, sure, unchanged = frozenset[str](), dict[frozenset[str], Sure](), list[Tried]()
    likely = [columns for columns, item, _ in _ranked(few, hidden, asked) if item.value > 0][:MOST_ASKED]
    ranked = _ranked(many, hidden, likely, len(asked))
    for _ in range(ROUNDS):
        found = None
        for columns, item, p_value in ranked:
            if p_value > SURE or not is_enough(many, item):
                continue
            if told := seen(columns):
                found = columns
                sure[columns] = told, p_value
                break
            if not sure and p_value <= RELATION_SURE:
                unchanged.append((columns, item, p_value))
        if found is None:
            break
        hidden |= found
        # what did not seem to matter before is not asked again
        likely = [columns for columns, item, _ in ranked if item.p_value <= SURE and not columns <= hidden]
        ranked = _ranked(many, hidden, likely)
    return sure, unchanged


def _trimmed(sides: Compared, sure: Mapping[frozenset[str], Sure], alone: Mapping[str, str]) -> dict[frozenset[str], Sure]:
    """Each set without the columns that add little to what it closes; those that close least alone are left out first."""
    found: dict[frozenset[str], Sure] = {}
    for columns, (_, p_value) in sure.items():
        hidden = frozenset[str]().union(*(other for other in sure if other != columns))
        before = float(sides.closed(hidden)[0]) if hidden else 0.0
        closes = {column: float(sides.closed(hidden | {column})[0]) for column in columns} if len(columns) > 1 else {}
        enough = KEPT * (float(sides.closed(hidden | columns)[0]) - before)
        kept = columns
        for column in sorted(closes, key=closes.__getitem__):
            rest = kept - {column}
            if rest and float(sides.closed(hidden | rest)[0]) - before >= enough:
                kept = rest
        found |= {part: (told, p_value) for part, told in _parts(alone, [kept]).items()}
    return found


def _ranked(sides: Compared, hidden: frozenset[str], asked: Sequence[frozenset[str]], among: int = 0) -> list[Tried]:
    """What closes with each set of columns unknown beside the hidden ones, and its adjusted p-value; the surest first.

    Sets beyond those that are asked, up to `among`, count as tried.
    """
    before = sides.closed(hidden) if hidden else np.zeros(len(sides.gaps))
    effects = [effect(sides.closed(hidden | columns) - before, sides.degrees) for columns in asked]
    if not effects:
        return []
    adjusted = holm([*(item.p_value for item in effects), *([1.0] * (among - len(asked)))])[: len(asked)]
    found = [(columns, item, float(p_value)) for columns, item, p_value in zip(asked, effects, adjusted, strict=True)]
    return sorted(found, key=lambda item: -item[1].value / (item[1].error or np.inf))


def _named(
    sides: Compared, group_of: Mapping[str, str], sure: Mapping[frozenset[str], Sure], alone: Mapping[str, str]
) -> list[Suspect]:
    """The columns that were found, by their groups: the group of the first is first."""
    together: dict[str, dict[str, None]] = {}
    for columns in sure:
        for column in sorted(columns):
            together.setdefault(group_of[column], {})[column] = None
    found = []
    for name, own in together.items():
        whole = effect(sides.closed(own), sides.degrees)
        parts = [told for columns, told in sure.items() if columns & own.keys()]
        suspect = _suspect(sides, name, own, whole, min(p_value for _, p_value in parts))
        each = [alone[column] for column in own if column in alone]
        said = each if len(each) == len(own) else [told for told, _ in parts]
        found.append(replace(suspect, is_guilty=True, told="; ".join(said)))
    return found


def _unexplained(sides: Compared, slices: Sequence[str], group_of: Mapping[str, str], unchanged: Sequence[Tried]) -> Suspect:
    """What no column whose values are others explains: the relation of some columns to the label, or of all."""
    every, most = _relation(sides, slices), KEPT * sides.sure_fall
    found = next((tried for tried in unchanged if tried[1].value >= most), None)
    if found is None and (every.is_guilty or not unchanged):
        return every
    columns, item, p_value = found or unchanged[0]
    return replace(
        _suspect(sides, group_of[min(columns)], columns, item, p_value),
        kind="relation",
        is_guilty=True,
        told="its values are as in the reference, what comes at them is not: a wrong join, or the world",
        where=places(sides, of_columns(sides, sorted(columns)), slices),
    )


def _suspect(sides: Compared, name: str, columns: Iterable[str], found: Effect, p_value: float) -> Suspect:
    before, after = (float(values[0]) for values in sides.hidden(columns))
    return Suspect("features", name, tuple(sorted(columns)), found, p_value, after, before, is_guilty=False)


def _relation(sides: Compared, slices: Sequence[str]) -> Suspect:
    """The relation of all columns to the label: labels are put back as the reference's relation would give them."""
    before, now = sides.said
    labels = sides.scorer.relabelled(sides.now, now, sides.reference, before, sides.seed)
    foretold = np.mean([sides.drawn(sides.now.with_values({}, item), now) for item in labels], axis=0)
    found = effect(sides.sign * (foretold - sides.after), len(sides.now.days) - 1)
    p_value = max(found.p_value, sides.gap.p_value)
    is_large = min(found.value, sides.gap.value) >= sides.worth and is_enough(sides, found)
    return Suspect(
        "relation",
        "relation",
        (),
        found,
        p_value,
        float(foretold[0]),
        float(sides.before[0]),
        is_guilty=is_large and p_value <= RELATION_SURE,
        where=places(sides, of_labels(sides, labels), slices) if is_large and p_value <= RELATION_SURE else {},
        told="no column explains the fall: labels, or the world",
    )
