"""What a TRuDI file is about: one evaluation profile, one span, its readings and registers.

Gathers from the original list; nothing of it is XML yet.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from clsbench.errors import BadInput
from clsbench.smgw.core.counters import counts
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.evaluation import BILLED, TafProfile
from clsbench.smgw.core.legal_time import QUARTER_MS
from clsbench.smgw.core.logs import LogEntry
from clsbench.smgw.core.originals import Original
from clsbench.smgw.core.periods import ended, evaluate, period_at

TAFS = (1, 2, 6, 7)

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Party:
    """Who stands behind a file. certificates: (certType, DER), the chain's leaf first."""

    smgw_id: str
    customer_id: str
    certificates: tuple[tuple[int, bytes], ...]
    firmware: str


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything a file says."""

    party: Party
    taf: TafProfile
    span: Span
    meter_id: str
    originals: tuple[Original, ...]
    derived: tuple[Derived, ...]
    logs: tuple[LogEntry, ...] = ()


def span_of(taf: TafProfile, month: Span) -> Span:
    """What a file about a month spans: the whole billing period where the profile has one."""
    return period_at(taf, month[0]) if taf.number in BILLED else month


def contract(
    party: Party, taf: TafProfile, span: Span, rows: Iterable[Original], logs: Iterable[LogEntry]
) -> Contract:
    """The file's content. rows: of the profile's meter, due times of the span, both ends included.

    Raises BadInput where the TAF has no such file or the list is empty.
    """
    if taf.number not in TAFS:
        told = ", ".join(str(number) for number in TAFS)
        raise BadInput(f"profile '{taf.profile_id}': TRuDI knows TAF {told}, not {taf.number}")
    own = [row for row in rows if _belongs(taf, row)]
    if not own:
        raise BadInput(
            f"profile '{taf.profile_id}': no readings in this span. "
            "Simulate some with: clsbench smgw seed"
        )
    derived = [
        register for period in _periods(taf, span) for register in _evaluate(taf, own, period)
    ]
    return Contract(
        party=party,
        taf=taf,
        span=span,
        meter_id=own[-1].meter_id,
        originals=tuple(_shown(taf, own, span)),
        derived=tuple(derived),
        logs=tuple(logs),
    )


def _belongs(taf: TafProfile, row: Original) -> bool:
    if taf.number == 7:
        return taf.wants(row.obis)
    return row.obis in taf.obis if taf.obis else counts(row.obis, row.unit)


def _periods(taf: TafProfile, span: Span) -> Iterable[Span]:
    return () if taf.number == 7 else ended(taf, *span)


def _evaluate(taf: TafProfile, rows: list[Original], period: Span) -> list[Derived]:
    inside = [row for row in rows if period[0] <= row.at_ms <= period[1]]
    return evaluate(taf, inside, period)


def _shown(taf: TafProfile, rows: list[Original], span: Span) -> Iterable[Original]:
    """TAF1 shows no more than the ends of its period, TAF6 the ends of days."""
    if taf.number == 1:
        ends = set(span)
    elif taf.number == 6:
        ends = {end for _, end in ended(taf, *span)}
    else:
        ends = set(range(span[0], span[1] + 1, QUARTER_MS))
    return [row for row in rows if row.due_ms in ends and row.raw is not None]
