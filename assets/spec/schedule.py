"""What a product declares of time: when its job looks for something to do, and when labels are learned."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import Field, field_validator

from assets.spec.base import Declaration


class ScheduleSpec(Declaration):
    """When the product's job looks for something to do; it is off until you start it in the UI."""

    cron: str = Field(default="0 6 * * *", pattern=r"^\S+ \S+ \S+ \S+ \S+$", examples=["0 6 * * 1"])
    """Give five fields: minute, hour, day of month, month, day of week."""
    time_zone: str = Field(default="UTC", examples=["America/New_York"])
    """Give the IANA time zone of the cron fields."""
    learn_online: str | None = Field(
        default=None,
        pattern=r"^\S+ \S+ \S+ \S+ \S+$",
        examples=["0 * * * *"],
        exclude_if=lambda value: value is None,
    )
    """Give the fields by which your cron runs `loopline learn-online --once`; left out, it goes on until it is stopped."""

    @field_validator("cron", "learn_online")
    @classmethod
    def _is_cron(cls, value: str | None) -> str | None:
        from croniter import croniter

        try:
            if value is not None:
                croniter(value, datetime(2024, 1, 1, tzinfo=UTC)).get_next()
        except ValueError as error:
            raise ValueError(f"must be a cron expression with moments, such as 0 6 * * 1 ({error})") from error
        return value
