"""The service against its own OpenAPI description: whatever it allows is answered, whatever it does not is refused by name."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import hypothesis
import numpy as np
import pytest
import schemathesis
from hypothesis import strategies as st

from assets.storage.home import Home
from bentos.app import ModelApp
from bentos.served import Served
from tests.bentos.serving import answering
from tests.models import promised, trained
from tests.shop import KINDS

CHECKED = hypothesis.settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
)


@pytest.fixture(scope="module", params=KINDS)
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, httpx.Client]]:
    """A service of each kind, and a client of it."""
    folder = tmp_path_factory.mktemp("contract")
    home = Home(folder / "home").prepare()
    served = promised(home, trained(home, request.param), folder / "package", max_batch_rows=20, access_log=False)
    with answering(ModelApp(served)) as client:
        yield served, client


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/model", schemathesis.GenerationMode.POSITIVE),
        *((path, mode) for path in ("/predict", "/predict_batch", "/explain") for mode in schemathesis.GenerationMode),
    ],
)
def test_every_request_is_answered_as_the_description_says(
    asked: tuple[Served, httpx.Client], path: str, mode: schemathesis.GenerationMode
) -> None:
    """No 5xx, the described statuses and bodies; what breaks the description is refused, what keeps it is answered."""
    schema = schemathesis.openapi.from_url(f"{asked[1].base_url}/docs.json")
    (operation,) = [found.ok() for found in schema.get_all_operations() if found.ok().path == path]

    @CHECKED
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def keeps_its_word(case: schemathesis.Case) -> None:
        case.call_and_validate()

    keeps_its_word()


def rows() -> st.SearchStrategy[dict[str, object]]:
    """Rows within the declared ranges: unknown categories, what is missing, and the ends of the ranges among them."""
    number = st.floats(allow_nan=False, allow_infinity=False, width=32)
    return st.fixed_dictionaries(
        {
            "age": st.one_of(st.sampled_from([0, 120, 0.0, 1e-38]), number.filter(lambda value: 0 <= value <= 120)),
            "plan": st.one_of(st.sampled_from(["basic", "free", "pro"]), st.text(min_size=1, max_size=20)),
        },
        optional={"visits": st.one_of(st.none(), number.filter(lambda value: 0 <= value <= 50))},
    )


def test_any_allowed_row_is_answered_as_the_model_answers(asked: tuple[Served, httpx.Client]) -> None:
    """Through JSON and back, to the last bit."""
    served, client = asked

    @CHECKED
    @hypothesis.given(st.lists(rows(), min_size=1, max_size=5))
    def answers(given: list[dict[str, object]]) -> None:
        found = client.post("/predict_batch", json={"rows": given})
        assert found.status_code == 200, found.text
        scores, expected = served.predict([served.bodies.row(row) for row in given])
        assert found.json()["predictions"] == expected
        assert np.isfinite(scores).all()

    answers()
