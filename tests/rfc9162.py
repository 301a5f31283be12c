"""A verifier of transparency logs, written from the text of RFC 6962 and RFC 9162 alone; it shares nothing with what it checks."""

from __future__ import annotations

import hashlib


def sha256(*parts: bytes) -> bytes:
    """HASH of the concatenation."""
    return hashlib.sha256(b"".join(parts)).digest()


def tree_hash(entries: list[bytes]) -> bytes:
    """MTH, RFC 6962, section 2.1."""
    n = len(entries)
    if n == 0:
        return sha256()
    if n == 1:
        return sha256(b"\0", entries[0])
    k = 1
    while k * 2 < n:
        k *= 2
    return sha256(b"\1", tree_hash(entries[:k]), tree_hash(entries[k:]))


def includes(entry: bytes, leaf_index: int, tree_size: int, root_hash: bytes, inclusion_path: list[bytes]) -> bool:
    """RFC 9162, section 2.1.3.2, step by step."""
    if leaf_index >= tree_size:  # 1
        return False
    fn, sn = leaf_index, tree_size - 1  # 2
    r = sha256(b"\0", entry)  # 3
    for p in inclusion_path:  # 4
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = sha256(b"\1", p, r)
            if not fn & 1:
                while True:
                    fn >>= 1
                    sn >>= 1
                    if fn & 1 or fn == 0:
                        break
        else:
            r = sha256(b"\1", r, p)
        fn >>= 1
        sn >>= 1
    return sn == 0 and r == root_hash  # 5


def extends(first: int, second: int, first_hash: bytes, second_hash: bytes, path: list[bytes]) -> bool:
    """RFC 9162, section 2.1.4.2, step by step; for 0 < first < second."""
    if not path:  # 1
        return False
    consistency_path = list(path)
    if first & (first - 1) == 0:  # 2
        consistency_path.insert(0, first_hash)
    fn, sn = first - 1, second - 1  # 3
    while fn & 1:  # 4
        fn >>= 1
        sn >>= 1
    fr = sr = consistency_path[0]  # 5
    for c in consistency_path[1:]:  # 6
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = sha256(b"\1", c, fr), sha256(b"\1", c, sr)
            if not fn & 1:
                while True:
                    fn >>= 1
                    sn >>= 1
                    if fn & 1 or fn == 0:
                        break
        else:
            sr = sha256(b"\1", sr, c)
        fn >>= 1
        sn >>= 1
    return fr == first_hash and sr == second_hash and sn == 0  # 7
