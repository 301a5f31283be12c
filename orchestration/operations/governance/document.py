"""A document of questions, each with its answer and where that stands; a question without an answer is a blank that says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """A question and what is known of it.

    Parameters
    ----------
    asked : str
        The question, with its place in the source.
    told : tuple of str
        The answer, a paragraph or a list; empty if there is none.
    sources : tuple of str
        Where it stands: records by path, entries of the ledger, ``declared: FIELD``.
    declare : str
        What answers it where nothing does: a field of the declaration, or another sentence.
    """

    asked: str
    told: tuple[str, ...]
    sources: tuple[str, ...] = ()
    declare: str = ""

    @property
    def blank(self) -> str:
        """What stands there without an answer."""
        return f"not stated: {self.declare}"


@dataclass(frozen=True)
class Section:
    """A heading and the questions below it."""

    title: str
    answers: Sequence[Answer]


@dataclass(frozen=True)
class Document:
    """A document about one version of a product.

    Parameters
    ----------
    name, title, lead : str
        Its file's name without an ending, its title, and what it is.
    sections : sequence of Section
        The questions.
    """

    name: str
    title: str
    lead: str
    sections: Sequence[Section] = field(repr=False)

    @property
    def answers(self) -> list[Answer]:
        """All questions in order."""
        return [answer for section in self.sections for answer in section.answers]

    @property
    def blanks(self) -> list[Answer]:
        """Those without an answer."""
        return [answer for answer in self.answers if not answer.told]

    @property
    def filled(self) -> str:
        """How much of it is filled, in a sentence."""
        return f"{len(self.answers) - len(self.blanks)} of {len(self.answers)} questions are answered; blanks say what would."

    def as_markdown(self) -> str:
        """The document as Markdown."""
        lines = [f"# {self.title}", "", self.lead, "", self.filled]
        for section in self.sections:
            lines += ["", f"## {section.title}"]
            for answer in section.answers:
                lines += ["", f"**{answer.asked}**", "", *_paragraphs(answer)]
        return "\n".join(lines) + "\n"


def declared(asked: str, told: str | Iterable[str] | None, name: str) -> Answer:
    """A question that a field of the declaration answers."""
    items = (told,) if isinstance(told, str) else tuple(told or ())
    return Answer(asked, items, (f"declared: {name}",) if items else (), f"declare `{name}`")


def _paragraphs(answer: Answer) -> list[str]:
    if not answer.told:
        return [f"_{answer.blank}_"]
    told = [answer.told[0]] if len(answer.told) == 1 else [f"- {item}" for item in answer.told]
    return [*told, "", f"<sub>{'; '.join(answer.sources)}</sub>"] if answer.sources else told
