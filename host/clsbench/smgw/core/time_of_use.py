"""Which tariff stage counts when: day profiles, the week's, special days.

Looked up by the wall clock of each quarter hour, so on the long day the hour that comes twice
has the same stages twice. Knows no readings.
Source: AR 2418-6 (TimeTrigger: DayProfile, WeekProfile, SpecialDayProfile; at most 20 stages
beside the error register).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from clsbench.smgw.core.legal_time import QUARTER_MS, local

ERROR_STAGE = 63
MAX_STAGES = 20
MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Stage:
    """A tariff stage; `number` is the E of its registers (1.8.1, 1.8.2 …)."""

    number: int
    description: str = ""


@dataclass(frozen=True, slots=True)
class DayProfile:
    """Stages of a day. switches: (minute of the day, stage), the first at 0, all on quarters."""

    day_id: int
    switches: tuple[tuple[int, int], ...]

    def stage_at(self, minute: int) -> int:
        """The stage at a minute of the day."""
        return next(stage for start, stage in reversed(self.switches) if start <= minute)


@dataclass(frozen=True, slots=True)
class TimeOfUse:
    """A time-variable tariff. week: day_id of Monday … Sunday; special: (day, day_id)."""

    stages: tuple[Stage, ...]
    days: tuple[DayProfile, ...]
    week: tuple[int, ...]
    special: tuple[tuple[date, int], ...] = ()
    _day: dict[int, DayProfile] = field(init=False, repr=False, compare=False)
    _special: dict[date, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_day", {day.day_id: day for day in self.days})
        object.__setattr__(self, "_special", dict(self.special))

    def faults(self) -> Iterator[str]:
        """What does not hang together, one sentence each."""
        numbers = [stage.number for stage in self.stages]
        if not 1 <= len(set(numbers)) == len(numbers) <= MAX_STAGES:
            yield f"stages: 1 to {MAX_STAGES} of different numbers expected"
        if any(not 1 <= number < ERROR_STAGE for number in numbers):
            yield f"stages: numbers 1 to {ERROR_STAGE - 1} expected; {ERROR_STAGE} counts errors"
        if len(self.week) != 7:
            yield "week: seven day profiles expected, Monday first"
        for day_id in {*self.week, *self._special.values()} - set(self._day):
            yield f"day profile {day_id} is named but not there"
        for day in self.days:
            yield from self._day_faults(day, set(numbers))

    def day_profile(self, day: date) -> DayProfile:
        """The profile of a local day."""
        return self._day[self._special.get(day, self.week[day.weekday()])]

    def stage_at(self, utc_ms: int) -> int:
        """The stage at an instant."""
        moment = local(utc_ms)
        return self.day_profile(moment.date()).stage_at(moment.hour * 60 + moment.minute)

    def constant_stage(self, start_ms: int, end_ms: int) -> int | None:
        """The one stage of all quarter hours in [start, end), or None when it changes within."""
        first = start_ms // QUARTER_MS * QUARTER_MS
        stages = {self.stage_at(moment) for moment in range(first, end_ms, QUARTER_MS)}
        return stages.pop() if len(stages) == 1 else None

    def _day_faults(self, day: DayProfile, numbers: set[int]) -> Iterator[str]:
        starts = [start for start, _ in day.switches]
        if not starts or starts[0] != 0:
            yield f"day profile {day.day_id}: the first switch is at 00:00"
        if any(start % 15 or not 0 <= start < MINUTES for start in starts):
            yield f"day profile {day.day_id}: switches stand on quarter hours"
        if any(one >= other for one, other in pairwise(starts)):
            yield f"day profile {day.day_id}: switches rise through the day"
        for stage in {stage for _, stage in day.switches} - numbers:
            yield f"day profile {day.day_id}: stage {stage} is not there"
