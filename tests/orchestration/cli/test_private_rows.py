"""What `loopline quarantine` shows of private columns, and a declaration of their treatment."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from orchestration.cli.data import _without_private
from tests.shop import product


def test_a_row_in_quarantine_is_shown_without_private_values() -> None:
    """Nor is the line that holds them all; what is missing is shown as missing."""
    row = {"partition": "static", "source_row": 3, "reasons": ["age is above 120"], "raw_line": "C1,300,free"}
    values = {"customer_id": "C1", "age": "300", "plan": None, "visits": "2"}
    spec = product("churn", privacy={"customer_id": "hash", "age": "drop", "plan": "drop"})
    assert _without_private(row | values, spec) == {
        **row, "raw_line": "(private)", "customer_id": "(private)", "age": "(private)", "plan": None, "visits": "2",
    }  # fmt: skip
    assert _without_private(row | values, product("churn")) == row | values


def test_privacy_of_what_is_no_column_is_one_error() -> None:
    """It names the columns that there are; a treatment that there is not is refused too."""
    with pytest.raises(ValidationError, match=r"has privacy of \['phone'\], which are no columns of it. Columns: customer_id"):
        product("churn", privacy={"phone": "hash"})
    with pytest.raises(ValidationError, match="Input should be 'keep', 'hash' or 'drop'"):
        product("churn", privacy={"plan": "encrypt"})
