"""Merkle trees as transparency logs have them: root hashes, and short proofs that a log holds an entry and was only extended.

RFC 6962, section 2.1, and for the verification RFC 9162, section 2.1; the hash is SHA-256. A tree is given by the hashes of its
leaves; what a leaf holds is for the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

EMPTY = hashlib.sha256(b"").digest()
"""The root hash of a tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf: of a zero byte and the entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: of a one byte and the hashes below it."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_hash(leaves: Sequence[bytes]) -> bytes:
    r"""The root hash of a tree (MTH).

    Examples
    --------
    >>> root_hash([leaf_hash(b""), leaf_hash(b"\x00")]).hex()[:16]
    'fac54203e7cc696c'
    """
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY
    split = _split(len(leaves))
    return node_hash(root_hash(leaves[:split]), root_hash(leaves[split:]))


def root_hashes(leaves: Iterable[bytes]) -> Iterator[bytes]:
    """The root hashes of the trees of the first leaf, the first two, and so on; each costs the logarithm of its size."""
    full: list[bytes] = []  # the roots of the full subtrees, the largest first
    for size, leaf in enumerate(leaves, start=1):
        node, rest = leaf, size
        while rest % 2 == 0:
            node, rest = node_hash(full.pop(), node), rest // 2
        full.append(node)
        root = node
        for left in reversed(full[:-1]):
            root = node_hash(left, root)
        yield root


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from a leaf to the root (PATH).

    Parameters
    ----------
    leaves : sequence of bytes
        The hashes of all leaves.
    index : int
        Which leaf, from 0; it must be one of them.
    """
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion_proof(leaves[:split], index), root_hash(leaves[split:])]
    return [*inclusion_proof(leaves[split:], index - split), root_hash(leaves[:split])]


def consistency_proof(leaves: Sequence[bytes], size: int) -> list[bytes]:
    """The hashes that show a tree to begin with the tree of its first `size` leaves (PROOF); 0 <= `size` <= the leaves."""
    return _subproof(leaves, size, is_whole=True) if size else []


def _subproof(leaves: Sequence[bytes], size: int, *, is_whole: bool) -> list[bytes]:
    if size == len(leaves):
        return [] if is_whole else [root_hash(leaves)]
    split = _split(len(leaves))
    if size <= split:
        return [*_subproof(leaves[:split], size, is_whole=is_whole), root_hash(leaves[split:])]
    return [*_subproof(leaves[split:], size - split, is_whole=False), root_hash(leaves[:split])]


def is_included(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows a leaf to stand at an index of the tree of this size and root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if place % 2 or place == last:
            found = node_hash(step, found)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            found = node_hash(found, step)
        place, last = place // 2, last // 2
    return last == 0 and found == root


def is_consistent(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows the tree of size `first` to be the beginning of that of size `second` (RFC 9162, 2.1.4.2)."""
    if not 0 <= first <= second:
        return False
    if first in (0, second):
        return not proof and first_root == (EMPTY if first == 0 else second_root)
    steps = [first_root, *proof] if first.bit_count() == 1 else list(proof)
    if not steps:
        return False
    place, last = first - 1, second - 1
    while place % 2:
        place, last = place // 2, last // 2
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if place % 2 or place == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            after = node_hash(after, step)
        place, last = place // 2, last // 2
    return last == 0 and (before, after) == (first_root, second_root)


def _split(size: int) -> int:
    """The largest power of two below a size of at least 2."""
    return int(1 << (size - 1).bit_length() - 1)
