"""Checkpoints: the head of the ledger as text, as transparency logs write it, with signatures or without.

The text is that of c2sp.org/tlog-checkpoint (origin, number of entries, root hash), signed as c2sp.org/signed-note has it. What
is kept in bentos, wheels, records and the registry is such a text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from assets.errors import LedgerError
from assets.promotion.ledger_state import Entry
from assets.storage.digests import canonical
from assets.storage.merkle_tree import leaf_hash, root_hash

SIGNATURE = re.compile(r"— (?P<name>[^\s+]+) (?P<signature>[A-Za-z0-9+/]+={0,2})")
LONGEST = 20_000
"""How many characters a checkpoint may have; the standard wants at least sixteen signatures to be taken."""


@dataclass(frozen=True)
class Checkpoint:
    """The head of a ledger at a size.

    Parameters
    ----------
    origin : str
        Which ledger: see `origin_of`.
    size : int
        The number of entries.
    root : bytes
        The root hash of their Merkle tree.
    extensions : tuple of str
        Further lines of the text, which others may have added; signatures are over them too.
    signatures : tuple of str
        Lines of signatures.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()

    @property
    def body(self) -> str:
        """The text that is signed."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @property
    def note(self) -> str:
        """The whole text: the body, and after an empty line the signatures, if there are any."""
        return self.body + ("\n" + "".join(f"{line}\n" for line in self.signatures) if self.signatures else "")

    @property
    def short(self) -> str:
        """Size and root hash in one line, for a header or a label."""
        return f"{self.size} {base64.b64encode(self.root).decode()}"

    @property
    def key(self) -> str:
        """What tells it from other heads: the size, and the beginning of the root hash in hexadecimal."""
        return f"{self.size}:{self.root.hex()[:16]}"

    def signed(self, line: str) -> Checkpoint:
        """The same with one more signature."""
        return replace(self, signatures=(*self.signatures, line))

    @classmethod
    def read(cls, text: str) -> Checkpoint:
        """Read a checkpoint's text, or the short form of a header: ``SIZE ROOT``.

        Raises
        ------
        LedgerError
            If it is none, with what is wrong.
        """
        if (short := re.fullmatch(r"(\d{1,18}) (\S+)", text)) is not None:
            return cls("", int(short[1]), _root(short[2]))
        body, gap, after = text.partition("\n\n")
        lines = body.removesuffix("\n").split("\n")
        if len(text) > LONGEST or len(lines) < 3 or not all(lines) or not re.fullmatch(r"0|[1-9]\d{0,17}", lines[1]):
            raise LedgerError("it is no checkpoint: its lines must be origin, number of entries and root hash")
        signatures = after.removesuffix("\n").split("\n") if gap else []
        if not all(SIGNATURE.fullmatch(line) for line in signatures):
            raise LedgerError("it is no checkpoint: after the empty line come signatures, each '— NAME BASE64'")
        return cls(lines[0], int(lines[1]), _root(lines[2]), tuple(lines[3:]), tuple(signatures))


def leaf_data(entry: Entry) -> bytes:
    """What the tree's leaf of an entry holds: the canonical JSON of which the entry's digest is taken."""
    return canonical(entry.content)


def leaves(entries: Sequence[Entry]) -> list[bytes]:
    """The hashes of the leaves of the ledger's tree."""
    return [leaf_hash(leaf_data(entry)) for entry in entries]


def origin_of(entries: Sequence[Entry]) -> str:
    """The ledger's name among all ledgers: it follows from the first entry, so that no file has to keep it."""
    return f"loopline/ledger/{entries[0].digest[:16]}"


def checkpoint_of(entries: Sequence[Entry]) -> Checkpoint:
    """The head of the ledger that has these entries, of which there is at least one; unsigned."""
    return Checkpoint(origin_of(entries), len(entries), root_hash(leaves(entries)))


def key_id(name: str, public: bytes) -> bytes:
    """The four bytes by which a signature names an Ed25519 key (c2sp.org/signed-note)."""
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def _root(text: str) -> bytes:
    try:
        root = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        root = b""
    if len(root) != hashlib.sha256().digest_size:
        raise LedgerError("it is no checkpoint: its root hash must be 32 bytes in base64")
    return root
