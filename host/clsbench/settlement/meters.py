"""One register out of several meters: a meter change joins them, energies add up (R9).

A chain is a run of meters joined by changes that state both final and start reading. On a chain
every register value is the first meter's register carried on, so differences are energies.
"""

from clsbench.settlement.model import Event, MeterChange, MeteringPoint, Reading

Located = tuple[int, int]  # chain, value on the chain in units


class Meters:
    """The meters of one direction of a metering point."""

    def __init__(self, point: MeteringPoint, direction: str):
        self._point = point
        self._direction = direction
        ids = {r.meter_id for r in point.readings if r.direction == direction}
        named = {each for each in ids if each is not None}
        self._changes = _linked(point.meter_changes, named)
        self._by_time = bool(self._changes) and len(ids) == 1
        self._any = (None in ids or not ids) and not self._changes
        self._base: dict[str | None, Located] = {}
        self.joints: list[tuple[int, int, int]] = []  # instant, chain, value of each change
        self._chain_up(sorted(named))
        for index, each in enumerate(sorted(named)):
            self._base.setdefault(each, (1000 + index if self._base else 0, 0))
        self._base.setdefault(None, (0, 0))
        self.fatal = self._fatal()

    def of_reading(self, reading: Reading, at_ms: int) -> Located:
        """Where a reading stands."""
        units = self._point.scaled((reading.raw, reading.scaler))
        return self._on(self._meter_of(reading.meter_id, at_ms, units), units)

    def of_event(self, event: Event) -> Located | None:
        """Where an event's value stands; None without a value, or with one of another meter."""
        value = event.value(self._direction)
        if value is None:
            return None
        units = self._point.scaled(value)
        meter = self._meter_of_event(event, units)
        return None if meter not in self._base else self._on(meter, units)

    def reading_dead(self, reading: Reading, at_ms: int) -> bool:
        """True from a value of this meter with a fatal status on (PTB-A 50.8 status 4)."""
        return self._dead(self._meter_of(reading.meter_id, at_ms, None), at_ms)

    def event_dead(self, event: Event) -> bool:
        """The same for an event's value."""
        return self._dead(self._meter_of_event(event, None), event.t_ms)

    def _dead(self, meter: str | None, at_ms: int) -> bool:
        since = self.fatal.get(meter)
        return since is not None and at_ms >= since

    def _on(self, meter: str | None, units: int) -> Located:
        chain, offset = self._base[meter]
        return chain, offset + units

    def _meter_of(self, meter: str | None, at_ms: int, units: int | None) -> str | None:
        return self._in_force(at_ms, units) if self._by_time else meter

    def _meter_of_event(self, event: Event, units: int | None) -> str | None:
        if self._any:
            return None
        if event.meter_id is not None:
            return event.meter_id
        return self._in_force(event.t_ms, units) if self._changes else next(iter(self._base))

    def _in_force(self, at_ms: int, units: int | None) -> str:
        """The meter at an instant; at a change's own instant the one whose stated value it is."""
        meter = self._changes[0].old_meter
        for change in self._changes:
            final = change.finals.get(self._direction)
            start = change.starts.get(self._direction)
            if final is not None and start is not None and change.t_ms == at_ms:
                stays = units == self._point.scaled(final) != self._point.scaled(start)
                meter = change.old_meter if stays else change.new_meter
            elif change.t_ms <= at_ms:
                meter = change.new_meter
        return meter

    def _chain_up(self, ids: list[str]) -> None:
        chain = 0
        for change in self._changes:
            old = self._base.setdefault(change.old_meter, (chain, 0))
            final = change.finals.get(self._direction)
            start = change.starts.get(self._direction)
            if final is None or start is None:
                chain = old[0] + 1
                self._base[change.new_meter] = (chain, 0)
                continue
            joint = old[1] + self._point.scaled(final)
            self.joints.append((change.t_ms, old[0], joint))
            self._base[change.new_meter] = (old[0], joint - self._point.scaled(start))

    def _fatal(self) -> dict[str | None, int]:
        fatal: dict[str | None, int] = {}
        found: list[tuple[str | None, int]] = []
        for reading in self._point.readings:
            at_ms = position(reading)
            if reading.ptb == 4 and reading.direction == self._direction and at_ms is not None:
                found.append((self._meter_of(reading.meter_id, at_ms, None), at_ms))
        for event in self._point.events:
            touched = not event.values or event.value(self._direction) is not None
            if event.ptb == 4 and touched and event.time_valid:
                found.append((self._meter_of_event(event, None), event.t_ms))
        for meter, at_ms in found:
            fatal[meter] = min(at_ms, fatal.get(meter, at_ms))
        return fatal


def position(reading: Reading) -> int | None:
    """A reading's place among the events: its capture time, else its due time (R3)."""
    return reading.due_ms if reading.captured_ms is None else reading.captured_ms


def _linked(changes: tuple[MeterChange, ...], ids: set[str]) -> list[MeterChange]:
    """The changes of the meters at hand, and those linked to them."""
    known = set(ids)
    while True:
        linked = [each for each in changes if {each.old_meter, each.new_meter} & known or not ids]
        grown = known | {meter for each in linked for meter in (each.old_meter, each.new_meter)}
        if grown == known:
            return linked
        known = grown
