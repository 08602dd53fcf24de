"""Evaluation profiles: which tariff use case makes what of a meter's readings, for whom.

Knows the fields and which of them belong to which TAF; references to other profiles are
checked by `profiles`.
Sources: BSI TR-03109-1 (TAF 1 … 14), FlexMC final report (TAF16), TRuDI (billing periods).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from clsbench.smgw.core.legal_time import BILLING_MONTHS
from clsbench.smgw.core.time_of_use import TimeOfUse
from clsbench.smgw.core.validity import ALWAYS, Validity

TAF_NUMBERS = (1, 2, 6, 7, 9, 10, 14, 16)
BILLED = (1, 2)  # have a billing period
SERIES = (7, 14)  # every due time is a record
STATE = (9, 10)  # on demand, cyclic, threshold

ON_DEMAND = "on-demand"
CYCLIC = "cyclic"
THRESHOLD = "threshold"
MODES = (ON_DEMAND, CYCLIC, THRESHOLD)

_PERIOD_S = {14: 60}
_DEFAULT_PERIOD_S = 900
_ONLY = {  # field -> the TAFs it belongs to
    "event_sources": (16,),
    "wan_source": (16,),
    "time_of_use": (2,),
    "modes": STATE,
    "thresholds": STATE,
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """Crossed when the register passes `limit` (in raw units of `scaler`), either way.

    hysteresis: how far it must fall below the limit again to count as below.
    """

    obis: str
    limit: int
    scaler: int = 0
    hysteresis: int = 0


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """How the contract behind a profile is called; only for display and exports."""

    point_id: str = ""
    name: str = ""
    tariff_name: str = ""
    metering_point_id: str = ""
    delivery_id: str = ""
    invoicing_party_id: str = ""


@dataclass(frozen=True, slots=True)
class TafProfile:
    """One evaluation profile.

    meter_id names a MeterProfile, emt an EmtProfile ("" = nobody outside), event_sources are
    CLS-IDs (TAF16). wan_source: `emt` may cause events over its channel (TAF16). obis: measured
    quantities in full form, empty = all of the meter. period_s: registration period, 0 = the
    TAF's own (900 s, TAF14 60 s). billing_months, billing_from: TAF 1 and 2. time_of_use: TAF2.
    modes, thresholds: TAF 9 and 10.
    """

    profile_id: str
    number: int
    meter_id: str
    final_consumer: str
    emt: str
    event_sources: tuple[str, ...] = ()
    wan_source: bool = False
    obis: tuple[str, ...] = ()
    period_s: int = 0
    billing_months: int = 1
    billing_from: date = date(2020, 1, 1)
    time_of_use: TimeOfUse | None = None
    modes: tuple[str, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    point: UsagePoint = UsagePoint()
    validity: Validity = ALWAYS

    @property
    def period_ms(self) -> int:
        """Milliseconds between two due times of the readings it needs."""
        return 1000 * (self.period_s or _PERIOD_S.get(self.number, _DEFAULT_PERIOD_S))

    @property
    def emts(self) -> tuple[str, ...]:
        """Who gets its records."""
        return (self.emt,) if self.emt else ()

    def wants(self, obis: str) -> bool:
        """True when this register belongs to its measured quantities."""
        return not self.obis or obis in self.obis

    def faults(self) -> Iterator[str]:
        """What is wrong in itself, as `field: sentence`."""
        if self.number not in TAF_NUMBERS:
            yield f"number {self.number} is not one of {TAF_NUMBERS}"
        for name, numbers in _ONLY.items():
            if getattr(self, name) and self.number not in numbers:
                told = " and ".join(f"TAF{number}" for number in numbers)
                yield f"{name} belongs to {told} only; remove it"
        if self.number == 16 and not self.event_sources:
            yield "event_sources is empty; name at least one CLS-ID"
        if self.number in STATE:
            yield from self._state_faults()
        if self.number in BILLED and self.billing_months not in BILLING_MONTHS:
            yield f"billing_months {self.billing_months}: one of {BILLING_MONTHS} expected"
        if self.billing_from.day != 1:
            yield f"billing_from {self.billing_from}: a billing period begins on a first"
        if self.period_s < 0 or self.period_s and 86_400 % self.period_s:
            yield f"period_s {self.period_s}: a whole part of a day expected"
        if not self.validity.sound:
            yield f"valid_to: {self.validity.sentence()}"
        if self.number == 2 and self.time_of_use is None:
            yield "time_of_use is missing"
        if self.time_of_use is not None:
            yield from (f"time_of_use: {fault}" for fault in self.time_of_use.faults())

    def _state_faults(self) -> Iterator[str]:
        if not self.modes or set(self.modes) - set(MODES):
            yield f"modes {list(self.modes)}: one or more of {list(MODES)} expected"
        if (THRESHOLD in self.modes) != bool(self.thresholds):
            yield f"thresholds and the mode {THRESHOLD} belong together"
