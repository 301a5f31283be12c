"""After how long without a look the learner of a champion's labels counts as stopped, for alerts and for the status."""

from __future__ import annotations

from assets.methods.cron_gaps import longest_gap_minutes
from assets.spec.schedule import ScheduleSpec

SILENT_MINUTES = 15
"""Of a learner that goes on until it is stopped; and what a run of one may take that cron starts."""
CLOCK_MINUTES = 60
"""How much longer a gap is in which clocks are set back."""


def silent_minutes(schedule: ScheduleSpec) -> int:
    """After how many minutes the learner of a product counts as stopped: 15, and the longest gap of its cron, if it has one."""
    if schedule.learn_online is None:
        return SILENT_MINUTES
    clock = 0 if schedule.time_zone == "UTC" else CLOCK_MINUTES
    return SILENT_MINUTES + longest_gap_minutes(schedule.learn_online) + clock
