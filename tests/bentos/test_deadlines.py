"""Tasks that take too long are ended, and no others."""

from __future__ import annotations

import asyncio

import pytest

from bentos.deadlines import Deadlines


async def within(deadlines: Deadlines, seconds: float) -> str:
    """Stay in the context for some time."""
    with deadlines:
        await asyncio.sleep(seconds)
    await asyncio.sleep(0.05)
    return "in time"


def test_what_is_late_ends_with_a_timeout_and_the_rest_goes_on() -> None:
    """Also what waits behind the context, and a task that comes again."""

    async def main() -> None:
        deadlines = Deadlines(0.1)
        late, quick = (asyncio.create_task(within(deadlines, seconds)) for seconds in (10, 0.05))
        for _ in range(8):
            await asyncio.sleep(0.05)
            deadlines.look()
        assert await quick == "in time"
        with pytest.raises(TimeoutError):
            await late
        assert late.cancelling() == 0
        assert not deadlines.due
        assert not deadlines.late
        assert await within(deadlines, 0) == "in time"

    asyncio.run(main())


def test_a_cancelled_task_is_cancelled() -> None:
    """By someone else it is no timeout, also when it is late besides."""

    async def main() -> None:
        deadlines = Deadlines(0.0)
        for is_late in (False, True):
            task = asyncio.create_task(within(deadlines, 10))
            await asyncio.sleep(0.01)
            if is_late:
                deadlines.look()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not deadlines.due

    asyncio.run(main())
