"""Roles: which column of a file plays which part for a product, why, and what to say to change it.

The parts of columns that are no features stand in `row_roles`, the kinds of target in `target_kinds`, what is
left out in `exclusions`, `surrogate_keys` and `leak_suspects`; how it is written down, in `draft`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from assets.errors import SpecificationError, UnlearnableError
from assets.scaffolding.exclusions import impossible, says_nothing
from assets.scaffolding.file_profile import ColumnProfile, FileProfile, as_moments
from assets.scaffolding.leak_suspects import Suspect, adding_up, suspects
from assets.scaffolding.question import Answer, Question, answers, column_named, option, shown
from assets.scaffolding.repeated_rows import Copies, copies_in, notes_on
from assets.scaffolding.row_roles import entity_of, group_of, may_be_subject, moment_of
from assets.scaffolding.surrogate_keys import Key, counts_time, key_of
from assets.scaffolding.target_kinds import FEWEST_ROWS, Target, target_of
from assets.spec.source import SOURCE_ROW

PART, SUSPECTED, LEFT_OUT, REMARKED, ORDINARY = range(5)
"""Where a line of the table stands."""
FEWEST_MOMENTS = 3

Ask = Callable[[ColumnProfile, Suspect], Answer]
"""Asks a person what to do about a suspected column."""


@dataclass(frozen=True)
class Role:
    """One line of the table that `loopline new` prints."""

    column: str
    used_as: str
    why: str
    change: str = ""
    rank: int = ORDINARY


@dataclass
class Roles:
    """Which column plays which part."""

    target: Target
    time: ColumnProfile | None = None
    entity: ColumnProfile | None = None
    group: ColumnProfile | None = None
    features: list[ColumnProfile] = field(default_factory=list)
    table: list[Role] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    remarks: dict[str, str] = field(default_factory=dict)
    """What stands beside a column in the declaration, by its name."""
    known: dict[str, str] = field(default_factory=dict)
    """The strong columns that are kept, with how strong they are."""
    copies: Copies = field(default_factory=Copies)

    @property
    def aside(self) -> set[str]:
        """The columns that are no features by their part."""
        parts = (self.target.column, self.time, self.entity, self.group)
        return {column.name for column in parts if column is not None}

    def declared(self, column: ColumnProfile) -> ColumnProfile:
        """The column as it is to be declared: the target's and the moment's type may be another than the profile's."""
        own = (self.target.column, *([self.time] if self.time else []))
        return next((item for item in own if item.name == column.name), column)

    def add(self, column: ColumnProfile, used_as: str, why: str, change: str = "", rank: int = ORDINARY) -> None:
        """Note a column's part, and how it is read where that is not plain."""
        if column.notes:
            why, rank = "; ".join(filter(None, (why, *column.notes))), min(rank, REMARKED)
        self.table.append(Role(shown(column.raw), used_as, why, change, rank))
        if rank < ORDINARY:
            self.remarks[column.name] = f"{used_as}: {why}"


def assign(question: Question, profile: FileProfile, ask: Ask | None = None) -> Roles:
    """Give each column its part.

    Parameters
    ----------
    question : Question
        What is asked.
    profile : FileProfile
        The file, column by column.
    ask : callable, optional
        Asks a person about suspected columns; without it they are kept, with a warning.

    Raises
    ------
    SpecificationError
        If a named column is not in the file, or cannot be what it is named for.
    UnlearnableError
        If the rows cannot be learnt from.
    """
    if profile.rows < FEWEST_ROWS:
        raise UnlearnableError(
            f"{profile.path}: has {profile.rows} rows, at least {FEWEST_ROWS} are needed to train, validate and test."
        )
    said = answers(question, profile)
    time = moment_of(profile, question)
    target = target_of(profile, column_named(profile, question.target, "target"), question, time)
    roles = Roles(target, time, None, group_of(profile, question), notes=list(target.notes))
    keys = {
        column.name: key for column in profile.columns if column.name not in roles.aside and (key := key_of(profile, column))
    }
    roles.entity = entity_of(profile, question, keys, said)
    _tell_parts(roles, keys)
    wanted = [column for column in profile.columns if column.name not in roles.aside]
    fit = [column for column in wanted if not _left_out(profile, roles, column, keys, said)]
    numbered = [column for column in profile.columns if column.name in keys and column.type == "integer"]
    measured = suspects(profile.sample, target, {column.name for column in (*fit, *numbered)})
    for column in fit:
        _feature(roles, column, measured.get(column.name), said, ask)
    _parts_of_a_sum(profile, roles, said, ask)
    strong = [f"{name!r} ({measured[name].strength})" for name in keys if name in measured and name not in roles.known]
    if strong:
        roles.notes.append(f"the file seems to be sorted by the target: the row number {', '.join(strong)} tells it")
    _look_at_rows(profile, question, roles)
    if not roles.features:
        shown_parts = [role for role in roles.table if role.rank in (PART, LEFT_OUT) and not role.used_as.startswith("target")]
        why = "; ".join(f"{role.column!r}: {role.used_as}, {role.why}" for role in shown_parts)
        raise UnlearnableError(f"{profile.path}: no column is left to learn from ({why}). Bring more columns, or --keep one.")
    roles.table.sort(key=lambda role: role.rank)
    return roles


def _tell_parts(roles: Roles, keys: Mapping[str, Key]) -> None:
    """Say what the columns are that are no features by their part."""
    roles.add(roles.target.column, f"target, {roles.target.kind}", roles.target.why, roles.target.changes, PART)
    if roles.time is not None:
        roles.add(roles.time, "time", "you said so; rows are split in its order", "leave out --time", PART)
    if roles.group is not None:
        roles.add(roles.group, "group", "you said so; rows of one value stay on one side", "leave out --group", PART)
    if roles.entity is None:
        told = "no column identifies a row, so rows are numbered"
        roles.table.append(Role(SOURCE_ROW, "entity", told, "--entity COLUMN", PART))
    elif roles.entity.name in keys:
        told = f"{keys[roles.entity.name].reason}; it is no feature"
        roles.add(roles.entity, "entity", told, f"--entity COLUMN or {option('keep', roles.entity)}", PART)
    else:
        roles.add(roles.entity, "entity", "you said so; it identifies a row", "leave out --entity", PART)


def _left_out(
    profile: FileProfile, roles: Roles, column: ColumnProfile, keys: Mapping[str, Key], said: Mapping[str, Answer]
) -> bool:
    """Whether a column is no feature, and why."""
    answer, cannot = said.get(column.name), impossible(column)
    if answer == "keep" and cannot:
        raise SpecificationError(f"{profile.path}: --keep {column.raw!r} cannot be a feature: {cannot}. Leave --keep out.")
    if answer == "keep":
        return False
    if answer is not None:
        told = "you said so" if answer == "without" else "it is known only after the event, you said so"
        roles.add(column, "left out", told, f"leave out {option(answer, column)}", LEFT_OUT)
        return True
    if cannot:
        roles.add(column, "left out", cannot, option("time", column) if column.type == "timestamp" else "", LEFT_OUT)
        return True
    reason = keys[column.name].reason if column.name in keys else says_nothing(profile, column)
    if reason is None:
        return False
    roles.add(column, "left out", reason, option("keep", column), LEFT_OUT)
    return True


def _feature(roles: Roles, column: ColumnProfile, suspect: Suspect | None, said: Mapping[str, Answer], ask: Ask | None) -> None:
    """Take a column as a feature, unless it is a copy of the target or a person says otherwise."""
    kind = "category" if column.type == "text" else "number"
    answer = said.get(column.name)
    if suspect is not None and _is_refused(roles, column, suspect, answer, ask):
        return
    if suspect is not None:
        told = f"kept as you said: {suspect}" if answer == "keep" else str(suspect)
        change = f"{option('known-after', column)} or --without" if answer is None else f"leave out {option('keep', column)}"
        roles.add(column, f"{kind}, suspected", told, change, SUSPECTED)
        roles.known[column.name] = suspect.strength or suspect.probably
    elif answer == "keep":
        roles.add(column, kind, "you said so", f"leave out {option('keep', column)}", REMARKED)
    elif column.mixed is not None:
        share, example = column.mixed
        why = f"{share:.0%} of its values are numbers, the others texts such as {shown(example, 20)!r}: each is a category"
        roles.add(column, kind, why, f"--null TEXT or {option('without', column)}", REMARKED)
    elif counts_time(column) and column.distinct > FEWEST_MOMENTS:
        change = option("time", column) if as_moments(column) else option("without", column)
        roles.add(column, kind, "whole numbers that may count time", change, REMARKED)
    else:
        roles.add(column, kind, "", option("without", column))
    roles.features.append(column)


def _is_refused(roles: Roles, column: ColumnProfile, suspect: Suspect, answer: Answer | None, ask: Ask | None) -> bool:
    """Whether a suspected column is left out: a copy by itself, another one if a person says so."""
    if answer == "keep":
        return False
    if not suspect.is_copy:
        answer = "keep" if ask is None else ask(column, suspect)
        if answer == "keep":
            return False
    after = "it is known only after the event, you said so; " if answer == "known-after" else ""
    roles.add(column, "left out", f"{after}{suspect}", option("keep", column), LEFT_OUT)
    return True


def _parts_of_a_sum(profile: FileProfile, roles: Roles, said: Mapping[str, Answer], ask: Ask | None) -> None:
    """Warn of columns that add up to the target."""
    names = [column.name for column in roles.features if said.get(column.name) != "keep" and column.name not in roles.known]
    parts = adding_up(profile.sample, roles.target, names)
    for column in [column for column in roles.features if column.name in parts]:
        others = " and ".join(repr(name) for name in parts if name != column.name)
        suspect = Suspect("", f"probably known only after the event: with {others} it adds up to the target exactly")
        roles.features.remove(column)
        roles.table = [role for role in roles.table if role.column != shown(column.raw)]
        if not _is_refused(roles, column, suspect, None, ask):
            change = f"{option('known-after', column)} or --keep"
            roles.add(column, "number, suspected", str(suspect), change, SUSPECTED)
            roles.features.append(column)


def _look_at_rows(profile: FileProfile, question: Question, roles: Roles) -> None:
    """Notes on the rows: duplicates and copies, rows that lack their moment, and subjects with several rows."""
    roles.copies = copies_in(profile, [column.name for column in roles.features], roles.target.column.name)
    group = None if roles.group is None else shown(roles.group.raw)
    roles.notes += notes_on(profile.sample.duplicates, roles.copies, in_time=roles.time is not None, group=group)
    for part, column in (("--time", roles.time), ("--group", roles.group)):
        if column is not None and column.nulls:
            roles.notes.append(f"{column.nulls:,} rows without {part} {shown(column.raw)!r} go to quarantine")
    if question.group is None and question.time is None:
        for column in (item for item in roles.features if may_be_subject(profile, item)):
            told = f"{shown(column.raw)!r} has about {column.filled / column.distinct:.0f} rows for each of its values"
            roles.notes.append(f"{told}; if rows of one belong together, say {option('group', column)}")
            return
