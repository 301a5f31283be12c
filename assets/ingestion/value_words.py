"""Words in data: what people write for no value, for true and false, and beside numbers, in several languages.

Profiling looks for these; what it finds it declares, so the landing needs none of these lists.
"""

from __future__ import annotations

import unicodedata

NULLS = (
    *("NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "\\N"),
    *("#NULL!", "#DIV/0!", "#VALUE!", "#REF!"),
)
SIGNS = ("-", "--", "\u2013", "\u2014", ".", "..", "?")
"""Signs that mean 'no value' only in a column whose other values all hold a letter or a digit."""

BOOLEANS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("true", "t", "yes", "y"), ("false", "f", "no", "n")),
    (("да", "д", "истина"), ("нет", "н", "ложь")),
    (("да",), ("не",)),
    (("так", "т"), ("ні", "н")),
    (("oui", "o", "vrai"), ("non", "n", "faux")),
    (("ja", "j", "wahr"), ("nein", "n", "falsch")),
    (("ja", "j", "waar"), ("nee", "n", "onwaar")),
    (("ja", "j", "sant"), ("nej", "n", "falskt")),
    (("ja", "j"), ("nei", "n")),
    (("sí", "si", "s", "verdadero"), ("no", "n", "falso")),
    (("sì", "si", "s", "vero"), ("no", "n", "falso")),
    (("sim", "s", "verdadeiro"), ("não", "nao", "n", "falso")),
    (("tak", "t", "prawda"), ("nie", "n", "fałsz")),
    (("ano", "a", "pravda"), ("ne", "n", "nepravda")),
    (("áno",), ("nie",)),
    (("da",), ("ne",)),
    (("da",), ("nu",)),
    (("igen", "i", "igaz"), ("nem", "n", "hamis")),
    (("kyllä",), ("ei",)),
    (("evet", "e", "doğru"), ("hayır", "h", "yanlış")),
    (("ναι",), ("όχι",)),
    (("是", "真"), ("否", "假")),
    (("はい", "真"), ("いいえ", "偽")),
    (("예", "네"), ("아니요", "아니오")),
    (("نعم",), ("لا",)),
    (("כן",), ("לא",)),
    (("हाँ",), ("नहीं",)),
    (("có",), ("không",)),
    (("ya",), ("tidak",)),
)
"""By language, the words for true and for false. The first pair needs no declaration."""

CURRENCIES = frozenset(
    code
    for codes in (
        "aed ars aud bgn brl cad chf clp cny cop czk dkk egp eur gbp hkd huf idr ils inr jpy krw kzt mxn myr nok nzd pen php",
        "pkr pln ron rsd rub sar sek sgd thb try twd uah usd vnd zar руб р грн тг лв zł kč ft kr fr rs r$ us$ a$ c$ hk$ nz$ s$",
    )
    for code in codes.split()
)
"""Codes and short names of currencies, in lower case, without a full stop; signs of money are known by their kind."""


def is_currency(text: str) -> bool:
    """Whether a text beside a number names money.

    Examples
    --------
    >>> [is_currency(text) for text in ("€", "eur", "руб.", "kg")]
    [True, True, True, False]
    """
    bare = text.strip().rstrip(".")
    return bare.lower() in CURRENCIES or (bool(bare) and all(unicodedata.category(letter) == "Sc" for letter in bare))


def booleans_of(values: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The words for true and for false that a column's values, in lower case, are all among; both in use, English aside.

    In other languages than English one word must be written out: N and S may as well be north and south.
    """
    for number, (true, false) in enumerate(BOOLEANS):
        used = tuple(word for word in true if word in values), tuple(word for word in false if word in values)
        if not values or len(used[0]) + len(used[1]) != len(values):
            continue
        if number == 0 or (all(used) and not all(_is_letter_of(word, (*true, *false)) for word in (*used[0], *used[1]))):
            return used
    return None


def _is_letter_of(word: str, words: tuple[str, ...]) -> bool:
    """Whether a word is the first letter of a longer one."""
    return any(len(other) > len(word) == 1 and other.startswith(word) for other in words)
