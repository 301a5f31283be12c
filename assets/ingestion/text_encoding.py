"""Text encodings: which one a file is in, told from its bytes, and the file in UTF-8.

A byte order mark decides; then UTF-8 where it fits; then the script that the words with other bytes make sense in.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from assets.errors import SourceError

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SCRIPTS = (
    *(("cp1251", "CYRILLIC"), ("koi8_r", "CYRILLIC"), ("cp866", "CYRILLIC")),
    *(("cp1253", "GREEK"), ("cp1255", "HEBREW"), ("cp1256", "ARABIC")),
)
"""Encodings of one byte a letter whose words are in one script."""
LATIN = (
    ("cp1252", frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿœšžß’")),
    ("latin-1", frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿß")),
    ("cp1254", frozenset("çğıöşüâîûi̇’")),
    ("cp1250", frozenset("ąćęłńóśźżáčďéěíňřšťúůýžäôľĺŕöüőűâăîşţđß’")),
    ("cp1257", frozenset("āčēģīķļņšūžąęėįųõäöüåæøó’")),
)
"""Encodings of Latin letters, with those that their languages use inside words; the first that fits is taken."""
OTHERS = ("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr")
SAMPLE, MOSTLY_UTF8 = 1 << 16, 0.8
MAGICS = (
    (b"PAR1", "a Parquet file", ".parquet"),
    (b"PK\x03\x04", "a zip or Excel file", ".zip or .xlsx"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file", ".xls"),
    (b"\x1f\x8b", "a gzip file", ".gz"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", ".zst"),
    (b"BZh", "a bzip2 file", ".bz2"),
    (b"\xfd7zXZ", "an xz file", ".xz"),
    (b"SQLite format 3", "a SQLite database", ".sqlite"),
    (b"%PDF", "a PDF", None),
    (b"<!doctype html", "a web page", None),
    (b"<html", "a web page", None),
    (b"\x89PNG", "a picture", None),
    (b"\xff\xd8\xff", "a picture", None),
)


def is_known(encoding: str) -> bool:
    """Whether Python knows a text encoding of this name."""
    try:
        "".encode(encoding)  # which refuses codecs that are none of text, such as hex
    except LookupError:
        return False
    return True


def is_ascii(path: Path) -> bool:
    """Whether a file holds plain ASCII, which is alike in most encodings."""
    return _failure(path, "ascii") is None


def is_utf8(encoding: str) -> bool:
    """Whether this is a name of UTF-8."""
    return codecs.lookup(encoding).name == "utf-8"


def detected(path: Path, told: Path) -> str:
    """The encoding of a text file.

    Parameters
    ----------
    path : Path
        The file, unpacked.
    told : Path
        The file that the user knows.

    Raises
    ------
    SourceError
        If it is no text, or in no encoding that can be told.
    """
    with path.open("rb") as stream:
        begin = stream.read(SAMPLE)
    require_text(begin, told)
    for mark, encoding in MARKS:
        if begin.startswith(mark):
            return encoding
    half = begin[: len(begin) // 2 * 2]
    for zeros, encoding in ((half[1::2], "utf-16-le"), (half[0::2], "utf-16-be")):
        if zeros and zeros.count(0) > 0.3 * len(zeros):
            return encoding
    failure = _failure(path, "utf-8")
    if failure is None:
        return "utf-8"
    found = _guessed(path)
    if found == "utf-8":  # a few lines are not: they are set aside
        return found
    if found is None or _failure(path, found) is not None:
        raise SourceError(_not_in(told, "utf-8", failure))
    return found


def require_text(begin: bytes, told: Path) -> None:
    """Refuse bytes that are no text.

    Raises
    ------
    SourceError
        With what they seem to be.
    """
    for magic, kind, suffix in MAGICS:
        is_text = magic == b"PAR1" and not any(byte < 9 for byte in begin)  # a column may be called so
        if not is_text and (begin.startswith(magic) or begin[:SAMPLE].lstrip()[: len(magic)].lower() == magic):
            remedy = f"Rename it to end in {suffix}" if suffix else "Export the table it shows as CSV"
            raise SourceError(f"{told}: is {kind}, not a text table. {remedy}.")
    marked = any(begin.startswith(mark) for mark, _ in MARKS[1:])
    odd, even = begin[1::2].count(0), begin[0::2].count(0)
    if not marked and 0 in begin and max(odd, even) < 0.15 * len(begin):
        raise SourceError(
            f"{told}: byte {begin.index(0) + 1} is zero, so it is no text table. Give CSV, JSON, Parquet, Excel or a database."
        )


def require_encoding(path: Path, encoding: str, told: Path) -> None:
    """Refuse a text file that holds bytes of another encoding.

    Raises
    ------
    SourceError
        With the line and the byte.
    """
    failure = _failure(path, encoding)
    if failure is not None:
        raise SourceError(_not_in(told, encoding, failure))


def recoded(path: Path, encoding: str, target: Path, told: Path) -> Path:
    """The file in UTF-8.

    Raises
    ------
    SourceError
        If it is not in its declared encoding.
    """
    done = 0
    try:
        with path.open(encoding=encoding, newline="") as source, target.open("w", encoding="utf-8", newline="") as copy:
            for line in source:
                copy.write(line)
                done += 1
    except UnicodeError as error:
        raise SourceError(
            f"{told}: line {done + 1} or soon after is not {encoding} ({error}). Give the right 'csv.encoding'."
        ) from error
    return target


def _not_in(told: Path, encoding: str, failure: tuple[int, str]) -> str:
    line, shown = failure
    return (
        f"{told}: line {line} holds the byte 0x{shown}, which is not {encoding}. Say how it is written, such as "
        "--encoding cp1252 (Western), cp1251 (Cyrillic) or utf-16."
    )


def _failure(path: Path, encoding: str) -> tuple[int, str] | None:
    """The line and the byte that are not of an encoding, if any are."""
    with path.open("rb") as stream:
        decoder = codecs.getincrementaldecoder(encoding)()
        line = 1
        while True:
            block = stream.read(1 << 20)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].count(b"\n"), error.object[error.start : error.start + 1].hex()
            except UnicodeError:  # UTF-16 without its mark
                return line, block[:1].hex()
            if not block:
                return None
            line += block.count(b"\n")


def _guessed(path: Path) -> str | None:
    """The encoding that the lines with bytes beyond ASCII make sense in."""
    import charset_normalizer

    held, size = [], 0
    with path.open("rb") as stream:
        for line in stream:
            if not line.isascii():
                held.append(line)
                size += len(line)
            if size > SAMPLE:
                break
    if held and sum(_is_valid(line) for line in held) >= MOSTLY_UTF8 * len(held):
        return "utf-8"
    sample = b"".join(dict.fromkeys(held))
    fitting = [encoding for encoding, script in SCRIPTS if _makes_words(sample, encoding, script)]
    if fitting and all(script == "CYRILLIC" for encoding, script in SCRIPTS if encoding in fitting):
        return max(fitting, key=lambda encoding: sum(letter.islower() for letter in sample.decode(encoding, "ignore")))
    latin = next((encoding for encoding, letters in LATIN if _is_latin(sample, encoding, letters)), None)
    if not fitting and latin is not None:
        return latin
    best = charset_normalizer.from_bytes(sample, cp_isolation=list(fitting or OTHERS), threshold=0.3).best()
    return best.encoding if best else None


def _is_valid(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _words(text: str) -> Sequence[str]:
    return [word for word in re.findall(r"[^\W\d_]{2,}", text) if not word.isascii()]


def _makes_words(sample: bytes, encoding: str, script: str) -> bool:
    """Whether nearly every word with letters beyond ASCII is in one script, and in a case that people write."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return False
    words = _words(text)
    beyond = sum(not letter.isascii() for letter in text)
    sound = [
        word
        for word in words
        if all(unicodedata.name(letter, "").startswith(script) for letter in word)
        and (word.islower() or word.isupper() or word.istitle() or word.lower() == word.upper())
    ]
    return bool(words) and len(sound) >= 0.9 * len(words) and sum(map(len, sound)) >= 0.7 * beyond


def _is_latin(sample: bytes, encoding: str, letters: frozenset[str]) -> bool:
    """Whether words hold, besides ASCII, nearly only these letters."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return False
    inside = re.findall(r"(?<=[^\W\d_])[^\x00-\x7f]|[^\x00-\x7f](?=[^\W\d_])", text)
    beyond = sum(not letter.isascii() for letter in re.findall(r"[^\W\d_]", text))
    ascii_letters = sum(letter.isascii() and letter.isalpha() for letter in "".join(_words(text)))
    sound = sum(letter.lower()[0] in letters for letter in inside)
    return sound >= 0.9 * len(inside) and (beyond == 0 or ascii_letters >= 0.5 * beyond)
