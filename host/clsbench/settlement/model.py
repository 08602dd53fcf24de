"""What a settlement works on: readings, events, meter changes and the policies in force.

Plain data. Instants are UTC milliseconds, values integers with a power-of-ten scaler of Wh.
"""

from dataclasses import dataclass, field

IMPORT, EXPORT = "import", "export"
DIRECTIONS = (IMPORT, EXPORT)
BEGIN, END = "begin", "end"

Scaled = tuple[int, int]  # raw, scaler


@dataclass(frozen=True, slots=True)
class Reading:
    """A register reading. One of due_ms and captured_ms may be None; ptb: status code 0..4."""

    direction: str
    series: int
    meter_id: str | None
    raw: int
    scaler: int
    due_ms: int | None
    captured_ms: int | None
    ptb: int
    place: str


@dataclass(frozen=True, slots=True)
class Event:
    """A numbered record of an event; only begin and end switch, others are neutral."""

    seq: int | None
    kind: str
    uuid: str | None
    t_ms: int
    meter_id: str | None
    cls_id: str | None
    values: tuple[tuple[str, Scaled], ...]  # direction, value
    ptb: int
    time_valid: bool
    place: str = field(compare=False)

    @property
    def switches(self) -> bool:
        return self.kind in (BEGIN, END)

    def value(self, direction: str) -> Scaled | None:
        """The value of a direction, or None."""
        return next((value for name, value in self.values if name == direction), None)


@dataclass(frozen=True, slots=True)
class MeterChange:
    """finals, starts: direction -> value, of the old and the new meter at that instant."""

    t_ms: int
    old_meter: str
    new_meter: str
    finals: dict[str, Scaled]
    starts: dict[str, Scaled]


@dataclass(frozen=True, slots=True)
class Groups:
    """rest: of the metering point; delta: takes what cannot be assigned; by_uuid: the others."""

    rest: str
    delta: str
    by_uuid: dict[str, str]

    def of(self, uuid: str) -> str:
        """The group of a transaction; one nobody named goes to delta (R5)."""
        return self.by_uuid.get(uuid, self.delta)


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices that no source makes; every result shows them."""

    substitute: str = "none"
    substitute_max_ms: int = 7_200_000
    market_decimals: int = 3
    over_claim: str = "refuse"


@dataclass(frozen=True, slots=True)
class MeteringPoint:
    """The input of mode `sections`."""

    from_ms: int
    to_ms: int
    groups: Groups
    policy: Policy
    directions: tuple[str, ...]
    readings: tuple[Reading, ...]
    events: tuple[Event, ...]
    open_at_start: frozenset[str]
    last_number_before: int | None
    meter_changes: tuple[MeterChange, ...]
    unit_scaler: int

    def scaled(self, value: Scaled) -> int:
        """The value in units of 10^unit_scaler Wh: exact, as no scaler is finer (R4)."""
        raw, scaler = value
        return raw * 10 ** (scaler - self.unit_scaler)
