"""Ed25519 in pure Python: the vectors of RFC 8032, and the same answer as `cryptography` for true and false signatures."""

from __future__ import annotations

import random

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from orchestration.operations.certification.verifier.signature import ORDER, P, verifies

VECTORS = {
    "TEST 1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "TEST 2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "TEST 3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "TEST SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
}
"""Public key, message and signature, of section 7.1."""


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_the_rfc(name: str) -> None:
    """Each is taken, and none with a changed message."""
    public, message, signature = map(bytes.fromhex, VECTORS[name])
    assert verifies(public, message, signature)
    assert not verifies(public, message + b"\0", signature)


def by_library(public: bytes, message: bytes, signature: bytes) -> bool:
    """What `cryptography` says."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def test_the_same_answers_as_a_library() -> None:
    """For true signatures, for each with one bit changed somewhere, and for a scalar that is not reduced."""
    drawn = random.Random(8032)  # noqa: S311
    for _ in range(12):
        private = Ed25519PrivateKey.from_private_bytes(drawn.randbytes(32))
        public, message = private.public_key().public_bytes_raw(), drawn.randbytes(drawn.randrange(200))
        signature = private.sign(message)
        assert verifies(public, message, signature)
        assert by_library(public, message, signature)
        for part in (public, signature, message or b"\0"):
            place = drawn.randrange(len(part))
            changed = part[:place] + bytes([part[place] ^ 1 << drawn.randrange(8)]) + part[place + 1 :]
            told = [changed if item is part else item for item in (public, message, signature)]
            assert verifies(*told) == by_library(*told) == (part not in (public, message, signature))
        larger = (int.from_bytes(signature[32:], "little") + ORDER).to_bytes(32, "little")
        assert not verifies(public, message, signature[:32] + larger)


@pytest.mark.parametrize("public", [b"", b"\1" * 31, b"\1" * 33, (P + 1).to_bytes(32, "little"), (2).to_bytes(32, "little")])
def test_what_is_no_key_verifies_nothing(public: bytes) -> None:
    """Too short, too long, not reduced, and no point of the curve."""
    _, message, signature = map(bytes.fromhex, VECTORS["TEST 2"])
    assert not verifies(public, message, signature)
    assert not verifies(bytes.fromhex(VECTORS["TEST 2"][0]), message, signature[:-1])
