"""Drafted YAML: whatever names and values a file holds, what is read is what was written."""

from __future__ import annotations

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.scaffolding.yaml_writer import Remarked, written
from assets.spec.templates import resolved

STRANGE = [
    "<script>alert(1)</script>", "'; drop table x; --", "{{7*7}}", "{{ env.HOME }}", "{{1}}", "{{ 'é\\", "Возраст", "\U0001f600" * 500, "x" * 500, "a: b # c", "? x", "- y",
    "two\nlines", "a\ttab", "", "yes", "null", "~", "123", "2020-01-01", "#", "&a", "*b", "!c", "%d", "@e", "`f", '"', "\\", "\x7f",
    "\u2028", "\ufeff", "<<", "=", " leading", "trailing ", "1_000", "0x1f", "1:30",
]  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def read(text: str) -> dict[str, object]:
    """The attributes of a declaration, by both of PyYAML's loaders, with templates resolved."""
    fast = yaml.load(text, Loader=yaml.CSafeLoader)
    assert fast == yaml.safe_load(text)
    attributes: dict[str, object] = resolved(fast["attributes"])
    return attributes


def test_strange_names_and_values_are_read_as_they_were_written() -> None:
    """With a comment before the block and beside each line that holds them too."""
    columns = {name: Remarked({"type": "text", "values": STRANGE}, f"left out: {name}") for name in STRANGE}
    text = written([(["A paragraph.", " ".join(STRANGE)], {"columns": columns, "name": STRANGE[0]})])
    expected = {name: {"type": "text", "values": STRANGE} for name in STRANGE}
    assert read(text) == {"columns": expected, "name": STRANGE[0]}


@settings(max_examples=200, deadline=None)
@given(names=st.lists(TEXTS, min_size=1, max_size=5, unique=True), remark=TEXTS)
def test_any_text_is_read_as_it_was_written(names: list[str], remark: str) -> None:
    """As a key, as a value and as a comment."""
    columns = {name: Remarked({"name": name, "as_template": f"{{{{{name}}}}}"}, remark) for name in names}
    text = written([(remark, {"columns": columns})])
    assert read(text) == {"columns": {name: {"name": name, "as_template": f"{{{{{name}}}}}"} for name in names}}
