"""msgspec takes no body that pydantic refuses, and reads none otherwise: what is told of refusals is pydantic's."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from bentos.bodies import REFUSED, Bodies

SIGNATURE: dict[str, Any] = {
    "features": {
        "age": {"type": "number", "required": True, "min": 0, "max": 120, "description": ""},
        "score": {"type": "number", "required": False, "min": -1.5, "max": None, "description": ""},
        "plan": {"type": "category", "required": True, "description": "", "known": ["a"]},
        "__class__": {"type": "category", "required": False, "description": "", "known": []},
    },
    "background": [{"age": 1.0, "score": None, "plan": "a", "__class__": None}],
}
USUAL = {"age": ["1", "30", "5.5", "120"], "plan": ['"a"', '"ü"'], "score": ["null", "3", "2.5"], "__class__": ["null", '"x"']}
ODD = [
    "1.0", "-0", "-0.0", "120.0000000000000001", "1e1", "1E+2", "1e400", "-1e400", "1e-400", "NaN", "Infinity", "-Infinity",
    "true", "false", '"1"', "01", "1.", ".5", "+1", "12345678901234567890123", "9" * 400, "0.1" + "0" * 500, "1e", '""',
    '"' + "x" * 200 + '"', '"' + "x" * 201 + '"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\udc00a"', '"\\u0000"', '"\x01"', '"\x7f"',
    "[]", "{}", '"\\x"', "0x1", "1_0", '"a\nb"', '"' + "😀" * 200 + '"', '"' + "😀" * 201 + '"', "4.9e-324",
    "1.7976931348623159e308", "-1.5", "-1.5000000000000001", "-1.6",
]  # fmt: skip


def test_what_is_decoded_quickly_is_what_is_checked() -> None:
    """Over random bodies, broken in their values, their form and their bytes."""
    draw = random.Random(1)  # noqa: S311 - nothing is kept secret by it
    bodies, taken, refused = Bodies(SIGNATURE, 5), 0, 0
    for _ in range(20_000):
        is_many = draw.random() < 0.3
        body = _body(draw, is_many=is_many)
        try:
            found = bodies._many.decode(body).rows if is_many else [bodies._one.decode(body).row]
        except REFUSED:
            refused += 1
            continue
        taken += 1
        checked = (
            bodies._checked_many.validate_json(body)["rows"] if is_many else [bodies._checked_one.validate_json(body)["row"]]
        )
        # as text: 1 and 1.0 are equal
        assert repr([msgspec.structs.astuple(row) for row in found]) == repr([bodies.row(row) for row in checked]), body
    assert min(taken, refused) > 3_000


def test_rows_are_in_the_order_of_the_features() -> None:
    """Whatever the order of the body's; what is missing is None, and not told again."""
    bodies = Bodies(SIGNATURE, 5)
    row = bodies.one(b'{"row": {"plan": "a", "__class__": "b", "age": 30}}')
    assert row == (30.0, None, "a", "b")
    assert bodies.named(row) == {"age": 30.0, "plan": "a", "__class__": "b"}
    assert bodies.many(json.dumps({"rows": [bodies.named(row)] * 2}).encode()) == [row, row]


@pytest.mark.parametrize("body", [b"", b"\xff", b'{"row": {"age": 30}}', b'{"row": {"age": 200, "plan": "a"}}', b"[" * 5000])
def test_a_refusal_is_pydantics(body: bytes) -> None:
    """Which names the field and what is allowed."""
    with pytest.raises(ValidationError):
        Bodies(SIGNATURE, 5).one(body)


def _body(draw: random.Random, *, is_many: bool) -> bytes:
    if is_many:
        text = '{"rows":[' + ",".join(_row(draw) for _ in range(draw.randrange(7))) + "]}"
    else:
        text = '{"row":' + _row(draw) + "}"
    text = draw.choice([""] * 30 + ["\ufeff", " ", "\n"]) + text + draw.choice([""] * 30 + [" ", "\n", "x", "\x00", "{}"])
    body = text.encode()
    return _damaged(draw, body) if draw.random() < 0.3 else body


def _row(draw: random.Random) -> str:
    """A row, mostly a right one: now and then a name twice or an unknown one, an odd value, or a comma too many."""
    likely = {"age": 0.95, "plan": 0.95, "score": 0.5, "__class__": 0.5}
    names = [*USUAL, *(name for name in USUAL if draw.random() < 0.03), "zzz", "ag\\u0065", "Age"]
    parts = [
        f'"{name}":{draw.choice(USUAL.get(name, ["1"]) if draw.random() < 0.9 else ODD)}'
        for name in names
        if draw.random() < likely.get(name, 0.02)
    ]
    draw.shuffle(parts)
    space = draw.choice(["", "", "", " ", "\n", "\t", "\r", "\x0b", "\xa0"])
    return "{" + ("," + space).join(parts) + draw.choice([""] * 20 + [","]) + "}"


def _damaged(draw: random.Random, body: bytes) -> bytes:
    """Some bytes changed, left out or put in."""
    found = bytearray(body)
    for _ in range(draw.randrange(1, 4)):
        place = draw.randrange(len(found))
        change = draw.randrange(3)
        if change == 0:
            found[place] = draw.randrange(256)
        elif change == 1:
            del found[place]
        else:
            found.insert(place, draw.randrange(256))
    return bytes(found)
