"""The archive of a certificate: a zip without compression, of which the files and their order decide every byte."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping

Problem = tuple[str, str]
"""A place in a certificate, and what is wrong with it."""


def packed(files: Mapping[str, bytes]) -> bytes:
    """The archive of files by name, which is ASCII, in their order."""
    body, directory = b"", b""
    for name, content in files.items():
        directory += _line(name, content, len(body))
        body += _header(name, content) + content
    return body + directory + _last(len(files), len(directory), len(body))


def _header(name: str, content: bytes) -> bytes:
    fields = (b"PK\3\4", 20, 0, 0, 0, 0x21, zlib.crc32(content), len(content), len(content), len(name), 0)
    return struct.pack("<4s5H3I2H", *fields) + name.encode()


def _line(name: str, content: bytes, offset: int) -> bytes:
    fields = (
        b"PK\1\2",
        20,
        20,
        0,
        0,
        0,
        0x21,
        zlib.crc32(content),
        len(content),
        len(content),
        len(name),
        0,
        0,
        0,
        0,
        0,
        offset,
    )
    return struct.pack("<4s6H3I5H2I", *fields) + name.encode()


def _last(count: int, directory: int, body: int) -> bytes:
    return struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, directory, body, 0)


def _size(name: str, content: int) -> int:
    """How much of an archive a file takes: its header, its content, and its line of the directory."""
    return 30 + 46 + 2 * len(name) + content


def walked(data: bytes) -> list[tuple[str, bytes]]:
    """The files of an archive by their headers, from the first byte on, until what follows is no header or is cut."""
    found, at = [], 0
    while data[at : at + 4] == b"PK\3\4" and at + 30 <= len(data):
        size, length, extra = struct.unpack_from("<I2H", data, at + 22)
        start = at + 30 + length + extra
        if start + size > len(data):
            break
        found.append((data[at + 30 : at + 30 + length].decode("utf-8", "replace"), data[start : start + size]))
        at = start + size
    return found


def archive_problems(data: bytes, files: list[tuple[str, bytes]], signed: Mapping[str, tuple[int, str]]) -> Iterator[Problem]:
    """What of an archive is not as it was packed; `signed` are the sizes and SHA-256 digests of its files, in order."""
    names, total = [name for name, _ in files], sum(_size(name, size) for name, (size, _) in signed.items()) + 22
    is_reordered = names != list(signed) and sorted(names) == sorted(signed)
    if len(data) == total and not is_reordered:
        yield from _in_place(data, signed)
        return
    if is_reordered:
        yield "the archive", "the order of its files was changed"
    for name in dict.fromkeys([*signed, *names]):
        contents = [content for found, content in files if found == name]
        if name not in signed:
            yield name, "it was added: nobody signed it"
        elif not contents:
            yield name, "it is missing, or cut off"
        elif len(contents) > 1:
            yield name, "it is there more than once"
        if name in signed and any(sha256(content) != signed[name][1] for content in contents):
            yield name, "its content was changed"
    if len(data) != total:
        yield "the archive", f"it has {len(data):,} bytes, {total:,} were signed: it was cut, or something was added"


def _in_place(data: bytes, signed: Mapping[str, tuple[int, str]]) -> Iterator[Problem]:
    """What differs in an archive of the right size."""
    at, directory = 0, []
    for name, (size, digest) in signed.items():
        begin, start = at, at + 30 + len(name)
        content, at = data[start : start + size], start + size
        is_intact = sha256(content) == digest
        if not is_intact:
            yield name, "its content was changed"
        if not _is_record(data[begin:start], _header(name, content), 14, is_intact):
            yield name, "its header in the archive was changed"
        directory.append((name, _line(name, content, begin), is_intact))
    body = at
    for name, line, is_intact in directory:
        if not _is_record(data[at : at + len(line)], line, 16, is_intact):
            yield name, "its line in the archive's directory was changed"
        at += len(line)
    if data[at:] != _last(len(signed), at - body, body):
        yield "the archive", "its last record was changed"


def _is_record(found: bytes, wanted: bytes, crc: int, is_intact: bool) -> bool:  # noqa: FBT001
    """Whether a record is the one that belongs to a content; but for its check sum, where the content was changed."""
    return found == wanted if is_intact else found[:crc] + found[crc + 4 :] == wanted[:crc] + wanted[crc + 4 :]


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
