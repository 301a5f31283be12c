"""Ledger proofs: that the ledger holds an entry, and that it only grew since a checkpoint, for who has the checkpoints alone.

What is printed is verified before, by the algorithms of RFC 9162.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assets.errors import LedgerError
from assets.promotion import ledger, signing_key
from assets.promotion.checkpoint import Checkpoint, leaf_data, leaves
from assets.promotion.known_heads import HEAD, KnownHead
from assets.promotion.ledger_verification import require_trusted
from assets.storage.home import Home
from assets.storage.merkle_tree import consistency_proof, inclusion_proof, is_consistent, is_included


def prove(home: Home, number: int | None = None, since: KnownHead | None = None) -> dict[str, Any]:
    """Prove to whoever has the ledger's present checkpoint what it holds, and that it extends an earlier one.

    Parameters
    ----------
    home : Home
        Whose ledger.
    number : int, optional
        The entry that is proved to be in it, from 1.
    since : KnownHead, optional
        The checkpoint that it is proved to extend.

    Returns
    -------
    dict
        ``checkpoint``; ``entry``, the ``leaf`` that is hashed for it, its ``inclusion``; ``consistency``. Hashes are in base64.

    Raises
    ------
    LedgerError
        If there is no such entry, the ledger is empty, or it is no extension of the checkpoint or of another known head.
    """
    entries = require_trusted(home, more=() if since is None else (since,)).entries
    head, hashes = ledger.checkpoint(home, len(entries)), leaves(entries)
    proved: dict[str, Any] = {"checkpoint": head.note}
    if number is not None:
        if not 1 <= number <= len(entries):
            raise LedgerError(f"the ledger has no entry {number}: it holds 1 to {len(entries)}. See `loopline history`.")
        path = inclusion_proof(hashes, number - 1)
        _require(is_included(hashes[number - 1], number - 1, head.size, head.root, path))
        entry = entries[number - 1]
        proved |= {"entry": asdict(entry), "leaf": leaf_data(entry).decode()}
        proved["inclusion"] = {"index": number - 1, "size": head.size, "hashes": _told(path)}
    if since is not None:
        first = since.checkpoint
        path = consistency_proof(hashes, first.size)
        _require(is_consistent(first.size, first.root, head.size, head.root, path))
        proved["consistency"] = {"since": first.note, "first": first.size, "second": head.size, "hashes": _told(path)}
    return proved


def opened(home: Home, file: Path) -> KnownHead:
    """The checkpoint in a file: alone, or in a JSON record that keeps one, such as a backup's manifest.

    Raises
    ------
    LedgerError
        If it holds none, or one that the home's key does not vouch for.
    """
    try:
        text = file.read_text(encoding="utf-8")
        checkpoint = Checkpoint.read(str(json.loads(text)[HEAD]) if text.startswith("{") else text)
        key = signing_key.registered(home)
        problem = "" if key is None else key.problem(checkpoint)
    except (LedgerError, OSError, ValueError, KeyError) as error:
        problem = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
    if problem:
        raise LedgerError(f"{file}: {problem}. Give a file that `loopline ledger checkpoint` wrote, or a backup's manifest.")
    return KnownHead(checkpoint, str(file))


def _told(hashes: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(item).decode() for item in hashes]


def _require(proof_holds: bool) -> None:  # noqa: FBT001 - it is what is required
    if not proof_holds:
        raise LedgerError("the proof does not hold, so it is not printed: the ledger changed meanwhile. Run it again.")
