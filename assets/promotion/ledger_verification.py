"""Ledger verification: whether the entries are as they were recorded, and whether the ledger extends all its known heads.

The chain of digests finds an entry that was changed. It cannot find that the last entries were cut off, or that all was written
anew: the known heads do. What was done to the ledger is told apart, as it decides what to restore.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from assets.errors import DigestError, UntrustedLedgerError
from assets.promotion.checkpoint import leaves
from assets.promotion.known_heads import KnownHead, known
from assets.promotion.ledger_database import Recorded, database, recorded
from assets.promotion.ledger_state import LEDGER, Entry
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.merkle_tree import root_hashes

FIRST = "0" * 64
"""What the first entry names as the digest of the entry before it."""
ACCEPTED = "ledger:"
"""How the finding begins by which a person accepts that the ledger lacks a head."""
Kind = Literal["gone", "cut", "older copy", "rewritten", "forked"]


@dataclass(frozen=True)
class Disagreement:
    """What was done to the ledger, by its known heads.

    Parameters
    ----------
    kind : str
        ``gone``, ``cut`` (entries deleted in the file), ``older copy``, ``rewritten`` or ``forked`` (two histories).
    told : str
        What was found, and where.
    findings : tuple of str
        What a person accepts who takes the ledger as it is: a finding for each head that it lacks.
    """

    kind: Kind
    told: str
    findings: tuple[str, ...]


def require_chain(home: Home, entries: Sequence[Entry]) -> None:
    """Recompute the chain of digests.

    Raises
    ------
    DigestError
        Naming the first entry that was changed, or that follows one that was taken out.
    """
    before = FIRST
    for place, entry in enumerate(entries, start=1):
        if entry.number != place or entry.previous != before or entry.digest != value_digest(entry.content):
            raise DigestError(
                f"{database(home)}: entry {place} is not as it was recorded, or one before it was taken out. Restore the file "
                "from a backup; until then nobody can say who should be served."
            )
        before = entry.digest


def require_trusted(home: Home, found: Recorded | None = None, more: Iterable[KnownHead] = ()) -> Recorded:
    """Refuse a ledger that was changed, or that is not an extension of each known head.

    Parameters
    ----------
    home : Home
        Whose ledger.
    found : Recorded, optional
        What it holds, if that was read already.
    more : iterable of KnownHead
        Heads that are known from elsewhere, such as a service's answer.

    Returns
    -------
    Recorded
        What it holds.

    Raises
    ------
    DigestError
        If an entry is not as it was recorded.
    UntrustedLedgerError
        If the ledger was shortened, replaced or rewritten: how, which head says so, where it was found, and what to do.
    """
    heads = [*known(home)[0], *more]  # before the entries: who promotes meanwhile must not seem to be ahead of the ledger
    found = recorded(home) if found is None else found
    require_chain(home, found.entries)
    if (problem := disagreement(found, heads)) is not None:
        raise UntrustedLedgerError(
            f"{database(home)}: {problem.told} Nothing was changed, and what serves goes on serving. Restore the ledger from "
            "a backup. If there is none and you know why: `loopline doctor --accept-ledger --reason …` records that you take "
            "it as it is, and what is served follows it from then on."
        )
    return found


def disagreement(found: Recorded, heads: Iterable[KnownHead]) -> Disagreement | None:
    """What was done to a ledger whose chain is whole; None if it extends all heads that nobody gave up.

    Parameters
    ----------
    found : Recorded
        What the ledger holds.
    heads : iterable of KnownHead
        What is known of it elsewhere.
    """
    entries = found.entries
    accepted = {entry.finding for entry in entries if entry.product == LEDGER}
    asked = sorted((head for head in heads if _size(head) and ACCEPTED + head.checkpoint.key not in accepted), key=_size)
    roots = dict(enumerate(root_hashes(leaves(entries)), start=1))
    agreeing = [head for head in asked if roots.get(_size(head)) == head.checkpoint.root]
    lacking = [head for head in asked if roots.get(_size(head)) != head.checkpoint.root]
    findings = tuple(dict.fromkeys(ACCEPTED + head.checkpoint.key for head in lacking))
    count = len(entries)
    if (rivals := _rivals(agreeing, lacking)) is not None:
        both = " and ".join(map(_named, rivals))
        told = f"there are two histories, and no ledger extends both: {both}. A copy of it was written to, or it was rewritten."
        return Disagreement("forked", told, findings)
    if lacking and _size(lacking[0]) <= count:
        first, last = (
            max((_size(head) for head in agreeing if _size(head) < _size(lacking[0])), default=0) + 1,
            _size(lacking[0]),
        )
        where = f"entry {last} was" if first == last else f"at least one of the entries {first} to {last} was"
        told = f"{where} rewritten, and all digests were computed anew: {_named(lacking[0])}, which these entries do not give."
        return Disagreement("rewritten", told, findings)
    if lacking and not count:
        return Disagreement("gone", f"the ledger is gone: it holds no entry, but {_named(lacking[-1])}.", findings)
    if found.most > count:
        beside = f", and {_named(lacking[-1])}" if lacking else ""
        told = f"its last entries were cut off: it holds {count}, but its header says that it has held {found.most}{beside}."
        return Disagreement("cut", told, findings or (f"{ACCEPTED}{found.most}",))
    if lacking:
        told = f"it is an older copy: it holds {count} entries and has held no more, but {_named(lacking[-1])}."
        return Disagreement("older copy", told, findings)
    return None


def _rivals(agreeing: Sequence[KnownHead], lacking: Sequence[KnownHead]) -> tuple[KnownHead, KnownHead] | None:
    """Two heads that no ledger can have both: of one size, or one that the ledger has beyond one that it has not."""
    for one, other in pairwise(lacking):
        if _size(one) == _size(other) and one.checkpoint.root != other.checkpoint.root:
            return one, other
    last = agreeing[-1] if agreeing else None
    return (lacking[0], last) if lacking and last is not None and _size(last) >= _size(lacking[0]) else None


def _size(head: KnownHead) -> int:
    return head.checkpoint.size


def _named(head: KnownHead) -> str:
    return f"{head.place} keeps the head of {_size(head)} entries, {head.checkpoint.root.hex()[:12]}"
