"""Merkle trees: the known vectors of Certificate Transparency, and proofs of any size before a verifier of its own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.storage import merkle_tree
from tests import rfc9162

LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
"""The leaves of the vectors of certificate-transparency-go and transparency-dev/merkle (testonly/constants.go)."""
ROOTS = [bytes.fromhex(text) for text in (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)]  # fmt: skip
"""Their roots, by size from 0."""
NODE = {text[:8]: bytes.fromhex(text) for text in (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
)}  # fmt: skip
"""The nodes that the vectors' proofs name (testonly/reference_test.go)."""
SIZES = st.integers(1, 70).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


def hashed(entries: list[bytes]) -> list[bytes]:
    """The hashes of leaves."""
    return [merkle_tree.leaf_hash(entry) for entry in entries]


def some(size: int) -> list[bytes]:
    """Entries of a log."""
    return [f"entry {number}".encode() for number in range(size)]


@pytest.mark.parametrize("size", range(9))
def test_the_roots_of_the_known_vectors(size: int) -> None:
    """Of one tree, and of all its beginnings at once."""
    assert merkle_tree.root_hash(hashed(LEAVES[:size])) == ROOTS[size]
    assert list(merkle_tree.root_hashes(hashed(LEAVES[:size]))) == ROOTS[1 : size + 1]


@pytest.mark.parametrize(
    ("index", "size", "proof"),
    [
        (0, 1, ""),
        (0, 2, "96a296d2"),
        (1, 2, "6e340b9c"),
        (2, 3, "fac54203"),
        (1, 5, "6e340b9c 5f083f0a bc1a0643"),
        (0, 8, "96a296d2 5f083f0a 6b47aaf2"),
        (5, 8, "bc1a0643 ca854ea1 d37ee418"),
    ],
)
def test_the_inclusion_proofs_of_the_known_vectors(index: int, size: int, proof: str) -> None:
    """Hash for hash, and they hold."""
    leaves = hashed(LEAVES[:size])
    expected = [NODE[name] for name in proof.split()]
    assert merkle_tree.inclusion_proof(leaves, index) == expected
    assert merkle_tree.is_included(leaves[index], index, size, ROOTS[size], expected)


@pytest.mark.parametrize(
    ("first", "second", "proof"),
    [
        (1, 1, ""),
        (1, 8, "96a296d2 5f083f0a 6b47aaf2"),
        (2, 5, "5f083f0a bc1a0643"),
        (6, 8, "0ebc5d34 ca854ea1 d37ee418"),
    ],
)
def test_the_consistency_proofs_of_the_known_vectors(first: int, second: int, proof: str) -> None:
    """Hash for hash, and they hold."""
    expected = [NODE[name] for name in proof.split()]
    assert merkle_tree.consistency_proof(hashed(LEAVES[:second]), first) == expected
    assert merkle_tree.is_consistent(first, ROOTS[first], second, ROOTS[second], expected)


@settings(max_examples=150, deadline=None)
@given(drawn=SIZES, data=st.data())
def test_an_inclusion_proof_holds_before_both_verifiers_and_no_other_does(drawn: tuple[int, int], data: st.DataObject) -> None:
    """Of a leaf at its index; with a hash changed, left out or added, or for another leaf, index or root it is refused."""
    size, index = drawn
    entries = some(size)
    leaves, root = hashed(entries), rfc9162.tree_hash(entries)
    proof = merkle_tree.inclusion_proof(leaves, index)
    assert root == merkle_tree.root_hash(leaves)
    assert rfc9162.includes(entries[index], index, size, root, proof)
    assert merkle_tree.is_included(leaves[index], index, size, root, proof)
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index or size == 1))
    wrong = [(leaves[index], index, size, rfc9162.sha256(root), proof), (leaves[index], index, size, root, [*proof, root])]
    wrong += [(leaves[index], size, size, root, proof), (leaves[index], -1, size, root, proof)]
    if size > 1:
        wrong += [(leaves[other], index, size, root, proof), (leaves[index], other, size, root, proof)]
        place = data.draw(st.integers(0, len(proof) - 1))
        wrong += [(leaves[index], index, size, root, [*proof[:place], *proof[place + 1 :]])]
        wrong += [(leaves[index], index, size, root, [*proof[:place], rfc9162.sha256(proof[place]), *proof[place + 1 :]])]
    assert not any(merkle_tree.is_included(*given) for given in wrong)


@settings(max_examples=150, deadline=None)
@given(drawn=SIZES, data=st.data())
def test_a_consistency_proof_holds_before_both_verifiers_and_no_other_does(drawn: tuple[int, int], data: st.DataObject) -> None:
    """Of a beginning of the log; of one that was rewritten, or with a hash changed, left out or added, it is refused."""
    second, first = drawn
    entries = some(second)
    leaves, roots = hashed(entries), [rfc9162.tree_hash(entries[:size]) for size in (first, second)]
    proof = merkle_tree.consistency_proof(leaves, first)
    assert merkle_tree.is_consistent(first, roots[0], second, roots[1], proof)
    assert not merkle_tree.is_consistent(first, roots[0], second, roots[1], [*proof, roots[1]])
    assert not merkle_tree.is_consistent(second, roots[1], first, roots[0], proof)
    if first == 0:
        assert proof == []
        assert roots[0] == merkle_tree.EMPTY
        return
    assert rfc9162.extends(first, second, *roots, proof)
    forged = [*entries[: first - 1], b"forged"]
    assert not merkle_tree.is_consistent(first, rfc9162.tree_hash(forged), second, roots[1], proof)
    place = data.draw(st.integers(0, len(proof) - 1))
    for other in ([*proof[:place], *proof[place + 1 :]], [*proof[:place], rfc9162.sha256(proof[place]), *proof[place + 1 :]]):
        assert not merkle_tree.is_consistent(first, roots[0], second, roots[1], other)


def test_a_tree_is_consistent_with_itself_alone() -> None:
    """By an empty proof and equal roots."""
    assert merkle_tree.is_consistent(3, ROOTS[3], 3, ROOTS[3], [])
    assert not merkle_tree.is_consistent(3, ROOTS[3], 3, ROOTS[4], [])
    assert not merkle_tree.is_consistent(3, ROOTS[3], 3, ROOTS[3], [ROOTS[3]])
    assert not merkle_tree.is_consistent(2, ROOTS[2], 3, ROOTS[3], [])
