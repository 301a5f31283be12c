"""Ledger: who served when, and why. Append-only; what is served follows from it, and MLflow's alias follows what is served.

Each entry carries the digest of the one before it, so that no entry can be changed or taken out unseen. Whether a model
deserves an entry is for the gate.
"""

from __future__ import annotations

from assets.errors import LedgerError
from assets.promotion import ledger_verification, signing_key
from assets.promotion.checkpoint import Checkpoint, checkpoint_of
from assets.promotion.known_heads import KnownHead, known
from assets.promotion.ledger_database import recorded
from assets.promotion.ledger_state import LEDGER, Decision, Entry, Standing
from assets.promotion.ledger_writer import Append, appended
from assets.storage.digests import value_digest
from assets.storage.home import Home


def entries(home: Home, product: str | None = None) -> list[Entry]:
    """All entries in order, of one product or of all."""
    return [entry for entry in recorded(home).entries if product in (None, entry.product)]


def standing(home: Home, product: str) -> Standing:
    """Who is champion, withdrawn and invalid now."""
    return Standing.after(entries(home, product))


def decisions_digest(home: Home, product: str) -> str:
    """The version of what people decided by hand about a product: it changes with each such entry."""
    return value_digest([entry.digest for entry in entries(home, product) if entry.by_hand])


def verify(home: Home, *more: KnownHead) -> int:
    """Recompute the chain of digests, and hold it against the known heads: those of the home, and more.

    Returns
    -------
    int
        The number of entries.

    Raises
    ------
    DigestError
        Naming the first entry that was changed, or that follows one that was taken out.
    UntrustedLedgerError
        If the ledger was shortened, replaced or rewritten.
    """
    return len(ledger_verification.require_trusted(home, more=more).entries)


def checkpoint(home: Home, size: int | None = None) -> Checkpoint:
    """The head of the ledger, signed if the home has a key.

    Parameters
    ----------
    home : Home
        Whose ledger.
    size : int, optional
        Of how many entries; left out, of all.

    Raises
    ------
    LedgerError
        If there are not so many, or the key cannot sign.
    """
    found = recorded(home).entries
    size = len(found) if size is None else size
    if not 1 <= size <= len(found):
        raise LedgerError(
            f"the ledger holds {len(found)} entries, so there is no head of {size}. `loopline history` lists them."
        )
    unsigned, key = checkpoint_of(found[:size]), signing_key.registered(home)
    return unsigned if key is None else key.sign(unsigned)


def head_of(home: Home, champion: Entry) -> str | None:
    """The checkpoint at the entry by which a version serves, as what is made of the version carries it.

    It does not change with later entries, so that these make nothing stale. None for a version that another ledger promoted.
    """
    held = recorded(home).entries[champion.number - 1 : champion.number]
    return checkpoint(home, champion.number).note if [entry.digest for entry in held] == [champion.digest] else None


def promote(home: Home, product: str, decision: Decision, *, instead_of: str | None) -> Entry:
    """Record a promotion.

    Parameters
    ----------
    home, product, decision
        What to record.
    instead_of : str or None
        The digest of the champion that the verdict was against.

    Raises
    ------
    LedgerError
        If another is champion by now, or the model is invalid.
    """

    def decide(now: Standing, append: Append) -> Entry:
        require_valid(product, now, decision)
        if now.champion_digest != instead_of:
            raise LedgerError(judged_against_another(product, decision, instead_of, now))
        return append("promotion", decision)

    return appended(home, product, decide)


def refuse(home: Home, product: str, decision: Decision) -> Entry:
    """Record a refusal; the same refusal by the same verdict is recorded once."""

    def decide(now: Standing, append: Append) -> Entry:
        return now.refused_by(decision.version, decision.verdict) or append("refusal", decision)

    return appended(home, product, decide)


def rollback(home: Home, product: str, decision: Decision) -> Entry:
    """Record that an earlier champion serves again; the present one is withdrawn.

    Raises
    ------
    LedgerError
        If the version never served, serves already, or is invalid.
    """

    def decide(now: Standing, append: Append) -> Entry:
        require_valid(product, now, decision)
        if now.champion_digest == decision.model_digest:
            raise LedgerError(f"{product}: version {decision.version} serves already, so there is nothing to roll back.")
        if decision.model_digest not in {entry.model_digest for entry in now.served}:
            raise LedgerError(
                f"{product}: version {decision.version} never served, so there is no going back to it. "
                f"Use `loopline promote {product} {decision.version} --reason …`."
            )
        return append("rollback", decision)

    return appended(home, product, decide)


def invalidate(home: Home, product: str, decision: Decision, ended: Decision | None = None) -> list[Entry]:
    """Record that a model may never be served again; if it is the champion, the one before it serves from now on.

    Parameters
    ----------
    home, product, decision
        What to record.
    ended : Decision, optional
        The end of the experiment that the model is an arm of.

    Returns
    -------
    list of Entry
        The invalidation, with the experiment's end before it and the rollback after it, if any; all are recorded or none.

    Raises
    ------
    LedgerError
        If it is invalid already.
    """

    def decide(now: Standing, append: Append) -> list[Entry]:
        require_valid(product, now, decision)
        before = now.fallback if now.champion_digest == decision.model_digest else None
        made = [] if ended is None or now.running is None else [append("experiment", ended)]
        made.append(append("invalidation", decision))
        if before is not None:
            reason = f"version {decision.version} is invalid: {decision.reason}"
            earlier = Decision(
                before.version,
                before.model_digest,
                before.snapshot_digest,
                decision.actor,
                reason,
                before.verdict,
                by_hand=True,
            )
            made.append(append("rollback", earlier))
        return made

    return appended(home, product, decide)


def accept(home: Home, product: str, decision: Decision) -> Entry:
    """Record that a person accepts one finding of the gate; who serves does not change by it."""
    return appended(home, product, lambda _, append: append("acceptance", decision))


def accept_ledger(home: Home, actor: str, reason: str, *more: KnownHead) -> list[Entry]:
    """Record that a person takes the ledger as it is, although it lacks heads that are kept elsewhere.

    Returns
    -------
    list of Entry
        An acceptance for each head that is given up.

    Raises
    ------
    DigestError
        If an entry is not as it was recorded: that is for a backup to mend.
    LedgerError
        If there is nothing to accept.
    """
    heads, found = [*known(home)[0], *more], recorded(home)
    ledger_verification.require_chain(home, found.entries)
    problem = ledger_verification.disagreement(found, heads)
    if problem is None:
        raise LedgerError("the ledger agrees with all heads that are known of it, so there is nothing to accept.")
    decisions = [
        Decision(0, "", "", actor, f"{reason} ({problem.kind})", by_hand=True, finding=finding) for finding in problem.findings
    ]
    return appended(
        home, LEDGER, lambda _, append: [append("acceptance", decision) for decision in decisions], is_trusted=False
    )


def require_valid(product: str, now: Standing, decision: Decision) -> None:
    """Refuse a decision about a model that was declared invalid, by a `LedgerError`."""
    if (entry := now.invalid.get(decision.model_digest)) is not None:
        raise LedgerError(
            f"{product}: version {decision.version} holds model {decision.model_digest[:12]}, which was declared invalid "
            f"{entry.told} and can never be served. Train another."
        )


def judged_against_another(product: str, decision: Decision, instead_of: str | None, now: Standing) -> str:
    """What is said where the verdict was against another champion than who serves now."""
    return (
        f"{product}: version {decision.version} was judged against {_named(instead_of)}, but by now "
        f"{_named(now.champion_digest)} serves. Run again, so that it is judged against that one."
    )


def _named(digest: str | None) -> str:
    return "nobody" if digest is None else f"model {digest[:12]}"


def trusted(home: Home, product: str) -> Standing:
    """As `standing`, for whoever acts on it.

    Raises
    ------
    DigestError, UntrustedLedgerError
        As `verify`: nobody can say by such a ledger who serves.
    """
    return Standing.after(entry for entry in ledger_verification.require_trusted(home).entries if entry.product == product)


def require_champion(home: Home, product: str) -> Entry:
    """The entry by which the present champion serves.

    Raises
    ------
    LedgerError
        If nobody is served, with what to do.
    UntrustedLedgerError
        If the ledger was shortened, replaced or rewritten: nobody can say by it who serves.
    """
    found = trusted(home, product)
    if found.champion is None:
        raise LedgerError(f"{product}: {found.vacancy}")
    return found.champion
