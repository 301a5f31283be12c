"""A review as one Markdown comment, for a pull request or a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from assets.promotion.verdicts import Verdict
from assets.review.feature_changes import FeatureChanges
from assets.review.model_comparison import ModelComparison
from assets.review.replay_comparison import ReplayComparison
from orchestration.review.review_record import ProductReview, Review, Stale
from orchestration.review.revisions import effective

MARK = "<!-- loopline review -->"
"""The first line, by which a later run finds the comment that it replaces."""
MOST = 30
"""How many lines of a table are shown."""


def comment(review: Review) -> str:
    """The whole comment."""
    return "\n".join([MARK, *_lines(review)]) + "\n"


def _lines(review: Review) -> Iterator[str]:
    yield f"## Review: {_cell(review.base.told)} → {_cell(review.head.told)}"
    yield ""
    yield f"**{_headline(review)}**"
    yield ""
    if review.uncommitted:
        few = ", ".join(f"`{name}`" for name in review.uncommitted[:3])
        more = f" and {len(review.uncommitted) - 3} more" if len(review.uncommitted) > 3 else ""
        yield f"> The working tree has changes that are in no commit and not part of this review: {few}{more}."
        yield ""
    if review.failure:
        yield from _quoted(review.failure)
        return
    if review.left_out:
        names, word = ", ".join(f"`{name}`" for name in review.left_out), "was" if len(review.left_out) == 1 else "were"
        yield f"{names} {word} never made in this home and left out; `--product NAME` makes one from its raw files."
        yield ""
    if review.stale:
        yield from _stale(review.stale)
    if review.stale_before:
        yield f"Of BASE too, {_count(review.stale_before, 'asset')} would be made in this home; they are left out of the table."
        yield ""
    for product in review.products:
        yield from _product(product)
    yield from _costs(review)


def _headline(review: Review) -> str:
    files = _count(len(review.files), "file")
    if not review.files:
        return "Nothing differs, so nothing goes stale."
    if not effective(review.files):
        return f"Nothing goes stale: no asset is made of the {files} that differ{'s' if len(review.files) == 1 else ''}."
    if review.failure:
        return "This change cannot be reviewed: a revision fails."
    if broken := [item.name for item in review.products if item.failure]:
        return f"{', '.join(broken)} cannot be made any more."
    if not review.stale and not review.products:
        return (
            f"Nothing goes stale: {files} differ{'s' if len(review.files) == 1 else ''}, and no asset would be made otherwise."
        )
    refused = [item.name for item in review.products if item.verdict is not None and not item.verdict.promoted]
    asked = [item.name for item in review.products if item.verdict is not None]
    told = f"{_count(len(review.stale), 'asset')} {'goes' if len(review.stale) == 1 else 'go'} stale"
    if refused:
        return f"{told}; the gate would refuse {', '.join(refused)}."
    return f"{told}; the gate would promote {', '.join(asked)}." if asked else f"{told}; no gate is asked."


def _stale(stale: Sequence[Stale]) -> Iterator[str]:
    yield "### What goes stale"
    yield ""
    rows = [(f"`{item.asset}`", _cell(item.reason), _seconds(item.before), _seconds(item.after)) for item in stale[:MOST]]
    yield from _table(("asset", "why", "BASE took, s", "HEAD took, s"), rows)
    if len(stale) > MOST:
        yield f"And {len(stale) - MOST} more."
    yield ""
    if any(item.after is None for item in stale):
        yield "Stages after the verdict are not made by a review, and have no seconds."
        yield ""


def _product(found: ProductReview) -> Iterator[str]:
    yield f"### `{found.name}`"
    yield ""
    if found.only_in == "BASE":
        yield "HEAD does not declare it any more: nothing of it would be made, and its champion would not be watched."
        yield ""
        return
    if found.only_in == "HEAD":
        yield "It is new: BASE does not declare it, so nothing is compared."
        yield ""
    if found.failure:
        yield from _quoted(found.failure)
        return
    if found.verdict is not None:
        yield from _verdict(found.verdict)
    if not found.only_in:
        yield from _features(found.features)
        yield from _models(found)
        yield from _replayed(found.replayed)
    yield from _footprints(found)


def _verdict(verdict: Verdict) -> Iterator[str]:
    refusing = verdict.refusing
    if verdict.champion_digest == verdict.challenger_digest:
        refusing = [item for item in refusing if item.gate not in ("champion", "slices")]
        yield (
            "**Gate:** HEAD's model is the one that serves in this home already, so it was not compared with itself. "
            + (
                "All other requirements are met."
                if not refusing
                else f"It misses {_count(len(refusing), 'other requirement')}:"
            )
        )
    else:
        against = f"against champion `{verdict.champion_digest[:12]}`" if verdict.champion_digest else "nobody serves yet"
        passed = sum(item.passed for item in verdict.findings)
        yield (
            f"**Gate:** it would be {'promoted' if verdict.promoted else 'refused'} ({against}; "
            f"{passed} of {len(verdict.findings)} requirements met)."
        )
    yield ""
    if refusing:
        rows = [(item.gate, _cell(item.requirement), _cell(item.evidence), _cell(item.remedy)) for item in refusing]
        yield from _table(("gate", "required", "found", "what to do"), rows)
        yield ""
    if verdict.warnings:
        yield f"Warnings: {'; '.join(map(_cell, verdict.warnings))}."
        yield ""


def _features(found: FeatureChanges | str | None) -> Iterator[str]:
    if found is None:
        yield "**Features:** the snapshot is the same, byte for byte."
    elif isinstance(found, str):
        yield f"**Features:** not compared: {_cell(found)}."
    else:
        parts = [f"{found.rows:,} rows are in both"]
        parts += [f"{_count(found.rows_added, 'row')} came"] if found.rows_added else []
        parts += [f"{_count(found.rows_removed, 'row')} went"] if found.rows_removed else []
        for columns, word in ((found.columns_added, "new"), (found.columns_removed, "gone")):
            parts += [f"{word}: {', '.join(f'`{name}`' for name in columns)}"] if columns else []
        parts += [] if found.changed or found.columns_added or found.columns_removed else ["no value differs"]
        yield f"**Features:** {'; '.join(parts)}."
        if found.changed:
            yield ""
            rows = [
                (
                    f"`{item.name}`",
                    f"{item.rows:,}",
                    f"{item.share:.1%}",
                    "" if item.distance is None else f"{item.distance:.3g}",
                )
                for item in found.changed[:MOST]
            ]
            yield from _table(("column", "rows that differ", "share", "distance"), rows)
            yield ""
            yield "Distance: of numbers the mean absolute difference in standard deviations, of others the total variation."
    yield ""


def _models(found: ProductReview) -> Iterator[str]:
    models = found.models
    if found.is_same_model:
        yield "**Model:** both revisions train the same model, byte for byte."
    elif isinstance(models, ModelComparison):
        yield from _metrics(models)
    elif models is not None:
        yield f"**Model:** not compared: {_cell(models)}."
    yield ""


def _metrics(found: ModelComparison) -> Iterator[str]:
    changed = f"; {found.labels_changed:,} labels differ, and those of HEAD count" if found.labels_changed else ""
    left = f"; {found.left_out:,} test rows of one revision or of other months left out" if found.left_out else ""
    yield f"**Models** on the same {found.rows:,} test rows{left}{changed}:"
    yield ""
    rows = [
        (
            f"`{item.name}`",
            f"{item.before:,.4g}",
            f"{item.after:,.4g}",
            f"{item.difference:+,.3g} [{item.low:+,.3g}, {item.high:+,.3g}]",
            {True: "better", False: "**worse**", None: "not sure"}[item.is_better],
        )
        for item in found.metrics
    ]
    yield from _table(("metric", "BASE", "HEAD", "difference", ""), rows)
    yield ""
    yield f"Intervals of {found.confidence:.0%}, paired: the same draws of {found.clusters} for both."


def _replayed(found: ReplayComparison | str | None) -> Iterator[str]:
    if found is None:
        return
    if isinstance(found, str):
        yield f"**Replay:** none: {_cell(found)}"
        yield ""
        return
    first, last = found.months
    sure = "cheaper" if found.high < 0 else "dearer" if found.low > 0 else "within chance"
    yield f"**Replay** of {first} to {last} by {found.step}, policy `{found.policy}`, {found.days} days:"
    yield ""
    rows = [
        (
            name,
            f"{side.total:,.0f}",
            "" if side.mean_metric is None else f"{side.mean_metric:.4g}",
            f"{side.trainings} / {side.promotions}",
            f"{side.true_alarms} / {side.false_alarms} / {side.missed_alarms}",
        )
        for name, side in (("BASE", found.before), ("HEAD", found.after))
    ]
    header = ("", f"cost, {found.unit}", found.metric, "trained / promoted", "alarms true / false / missed")
    yield from _table(header, rows)
    yield ""
    yield (
        f"HEAD costs {found.difference:+,.0f} [{found.low:+,.0f}, {found.high:+,.0f}] {found.unit} more ({sure}; "
        f"{found.confidence:.0%}, the same blocks of days drawn for both)."
    )
    yield ""


def _footprints(found: ProductReview) -> Iterator[str]:
    known = [item for item in found.footprints if item]
    if not known or len(known) != len(found.footprints):
        return
    rows = [
        (
            name,
            f"{item['row_ms']['p99']:.3g}",
            f"{item['batch_ms']['p99']:.3g}",
            f"{sum(item['bytes'].values()) / 1e3:,.0f}",
        )
        for name, item in zip(("HEAD",) if len(known) == 1 else ("BASE", "HEAD"), known, strict=True)
    ]
    yield from _table(("", "one row, p99 ms", f"{known[-1]['batch_rows']:,} rows, p99 ms", "model, kB"), rows)
    yield ""


def _costs(review: Review) -> Iterator[str]:
    """What the review's own processes took, by revision."""
    rows = [
        (
            side.name,
            str(len(side.spent)),
            f"{sum(item.seconds for item in side.spent):.0f}",
            f"{sum(item.cpu_seconds for item in side.spent):.0f}",
            f"{max(item.peak_mb for item in side.spent):,.0f}",
        )
        for side in review.homes
        if side.spent
    ]
    if rows:
        yield "<details><summary>Time and memory of this review</summary>"
        yield ""
        yield from _table(("", "commands", "wall s", "processor s", "largest process, MB"), rows)
        yield ""
        yield "</details>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _quoted(text: str) -> Iterator[str]:
    yield "```"
    yield text.replace("```", "'''")
    yield "```"
    yield ""


def _cell(text: str) -> str:
    """Text that neither ends a cell nor begins a tag."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
