"""Single rows that come together are answered by one call, each with its own answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from assets.storage.home import Home
from bentos.micro_batching import MicroBatcher
from bentos.row_graph import MOST_ROWS
from bentos.served import Served
from tests.models import promised, trained

ROWS = [(30.0 + place, "free", 2.0) for place in range(MOST_ROWS + 4)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A service of one of the shop's models."""
    folder: Path = tmp_path_factory.mktemp("micro")
    home = Home(folder / "home").prepare()
    return promised(home, trained(home, "churn"), folder / "package")


@pytest.mark.parametrize("together", [1, 3, len(ROWS)])
def test_rows_of_one_turn_are_one_call_and_get_their_own_answers(served: Served, together: int) -> None:
    """Also more rows than the graph for few rows takes; one that has gone is not answered."""
    sizes: list[int] = []

    async def main() -> list[tuple[float, object]]:
        batcher = MicroBatcher(sizes.append)
        gone = batcher.predict(served, ROWS[0])
        gone.cancel()
        return list(await asyncio.gather(*[batcher.predict(served, row) for row in ROWS[:together]]))

    found = asyncio.run(main())
    assert sizes == [together]
    for row, (score, answer) in zip(ROWS, found, strict=False):
        (alone,), (answered,) = served.predict([row])
        assert (score, answer) == (alone, answered)


def test_versions_are_not_mixed_and_an_error_reaches_those_of_its_version(served: Served) -> None:
    """While a service changes to another champion, both answer; one that fails does not harm the other."""
    failing = Served(served.promise, served.model, served.row_graph)
    sizes: list[int] = []

    async def main() -> list[object]:
        batcher = MicroBatcher(sizes.append)
        short = ("not", "a")
        asked = [(served, ROWS[0]), (failing, short), (served, ROWS[1]), (failing, short)]
        return list(await asyncio.gather(*[batcher.predict(*item) for item in asked], return_exceptions=True))

    first, second, third, fourth = asyncio.run(main())
    assert sizes == [2, 2]
    assert isinstance(first, tuple)
    assert isinstance(third, tuple)
    assert isinstance(second, Exception)
    assert isinstance(fourth, Exception)
