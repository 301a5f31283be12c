"""Doctor: what disagrees with the ledger, for example after a kill between two writes. What can be mended is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assets.errors import LedgerError, LooplineError
from assets.promotion import ledger, registered_versions
from assets.promotion.intact_models import require_runnable
from assets.promotion.known_heads import KnownHead, known
from assets.promotion.ledger_state import Entry
from assets.serving import bento_package
from assets.storage.home import Home
from assets.storage.locks import exclusive
from orchestration.operations.monitoring.fallback_status import fallback_status
from orchestration.operations.promotion.release import is_later

AGAIN = "Nothing is mended until it is restored from a backup, or deleted and made again by `loopline run`."


@dataclass(frozen=True)
class Finding:
    """One disagreement: of which product, what it is, and whether it is mended now."""

    product: str
    problem: str
    mended: bool


def examine(home: Home, products: list[str], heads: Sequence[KnownHead] = ()) -> list[Finding]:
    """Look for disagreements, and mend those that the ledger settles; running it again finds those that are left.

    Nothing is mended by a ledger that was shortened, replaced or rewritten, nor while a head of it cannot be believed.

    Parameters
    ----------
    home, products
        What is looked at.
    heads : sequence of KnownHead
        Heads of the ledger that are known from elsewhere, beside those that the home keeps.
    """
    try:
        ledger.verify(home, *heads)
        if unusable := known(home)[1]:
            told = [f"the head in {item.place} cannot be used: {item.problem}. {AGAIN}" for item in unusable]
            return [Finding("ledger", problem, mended=False) for problem in told]
    except LooplineError as error:
        return [Finding("ledger", str(error), mended=False)]
    return [finding for product in products for finding in _of(home, product)]


def _of(home: Home, product: str) -> Iterator[Finding]:
    standing = ledger.standing(home, product)
    champion, is_released = standing.champion, is_later(home)
    if not is_released:  # MLflow's registry stays where models are trained
        yield from _alias(home, product, champion)
    for digest, entry in standing.invalid.items():
        for tag in bento_package.withdraw(home, product, digest):
            yield Finding(product, f"{tag} held a model that was declared invalid {entry.told}: removed", mended=True)
    if champion is None:
        return
    try:
        require_runnable(home, product, champion.model_digest)
        if not is_released:
            yield from _registered(home, product, champion)
    except LooplineError as error:
        yield Finding(product, str(error), mended=False)
    tag, followed = bento_package.tag_of(champion), bento_package.followed(home, product)
    remedy = f"Run `loopline run {product}`."
    if is_released:
        remedy = f"It was not released here yet: `loopline release {product} --from … --reason …`."
    if not bento_package.bento_folder(home, tag).exists():
        yield Finding(product, f"there is no bento {tag} of the champion yet. {remedy}", mended=False)
    elif followed != champion.model_digest:
        served = "nothing" if followed is None else f"model {followed[:12]}"
        told = f"services follow {served}, the ledger says {champion.model_digest[:12]}"
        yield Finding(product, f"{told}. {remedy}", mended=False)
    elif is_released and (fallback := fallback_status(home, product, None)) is not None and not fallback.is_followed:
        yield Finding(product, fallback.told, mended=False)  # it came with another product's release: a person decides
    elif (stray := _strays(home, product, champion)) is not None:
        yield stray


def _registered(home: Home, product: str, champion: Entry) -> Iterator[Finding]:
    """The champion's version in MLflow's registry, which must be there."""
    if registered_versions.version(home, product, champion.version).model_digest != champion.model_digest:
        told = f"version {champion.version} is registered with another model than the ledger's {champion.model_digest[:12]}"
        yield Finding(product, f"{told}. Roll back to another version: `loopline rollback {product} --to …`.", mended=False)


def _alias(home: Home, product: str, champion: Entry | None) -> Iterator[Finding]:
    """MLflow's alias, which follows the ledger."""
    named = registered_versions.holder(home, product, registered_versions.CHAMPION)
    wanted = champion.version if champion else None
    if (named.version if named else None) != wanted:
        from assets.promotion import model_registry

        model_registry.follow_ledger(home, product)
        told = f"MLflow's alias named {_version(named.version if named else None)}, the ledger says {_version(wanted)}"
        yield Finding(product, told, mended=True)


def _strays(home: Home, product: str, champion: Entry) -> Finding | None:
    """Whether services are told of other arms than the ledger has; they are told anew then, if the arms are packaged."""
    try:
        if bento_package.DEALT & bento_package.pointed(home, product, champion).keys():
            return None  # `loopline experiment status` packages the arms
        with exclusive(home.decision_lock):
            if not bento_package.point_if_changed(home, product, champion):
                return None
    except LedgerError as error:  # the fallback is to answer, and there is none
        return Finding(product, str(error), mended=False)
    told = "services are told of arms, or of the fallback, otherwise than the ledger says"
    return Finding(product, f"{told}: what they follow is written anew", mended=True)


def _version(number: int | None) -> str:
    return "nobody" if number is None else f"version {number}"
