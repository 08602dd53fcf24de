"""What the event log says about readings, transactions, quarter hours, relay and load.

Knows the names and details of events; draws nothing. Total: an event with missing or strange
details is kept as an event and gives no reading. Energies are exact (`Energy`).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clsbench.report.quantity import MAX_MS, MAX_SCALER, Energy

IMPORT = "1-0:1.8.0*255"
_WH = 30  # DLMS unit code
ENDS = ("end", "failsafe", "tamper", "power-fail")
DEVICE, GATEWAY = "device", "gateway"
_RECORDS = {
    "device.taf7": (DEVICE, 7),
    "device.taf16": (DEVICE, 16),
    "taf7.record": (GATEWAY, 7),
    "record.written": (GATEWAY, 16),
}
POLLS = ("modbus.request", "modbus.reply", "modbus.silent", "load.power")


@dataclass(frozen=True)
class Reading:
    """The import register in one record. t_ms: when it was captured, UTC."""

    witness: str
    taf: int
    seq: int
    uuid: str | None
    event: str
    text: str
    t_ms: int
    due_ms: int | None
    register: Energy
    source: str  # device or profile that numbers the records


@dataclass
class Transaction:
    """Begin and end of one UUID in both witnesses; None where the log holds none."""

    uuid: str
    label: str = ""
    text: str = ""
    readings: dict[tuple[str, str], Reading] = field(default_factory=dict)
    events: list[int] = field(default_factory=list)  # numbers of its events in the log

    def at(self, witness: str, edge: str) -> Reading | None:
        """edge: begin or end."""
        return self.readings.get((witness, edge))

    def energy(self, witness: str) -> Energy | None:
        """Register at the end less register at the begin."""
        begin, end = self.at(witness, "begin"), self.at(witness, "end")
        return end.register - begin.register if begin and end else None

    @property
    def recorded(self) -> bool:
        """True when a record of it exists; a refused command has none."""
        return bool(self.readings)

    def edge_ms(self, edge: str) -> int | None:
        """When it began or ended, by the device, else by the gateway."""
        reading = self.at(DEVICE, edge) or self.at(GATEWAY, edge)
        return reading.t_ms if reading else None


@dataclass(frozen=True)
class Quarter:
    """Energy between two neighbouring TAF7 readings of the device, by UUID (None: the rest)."""

    from_ms: int
    to_ms: int
    total: Energy
    parts: dict[str | None, Energy]


@dataclass
class Series:
    """All the report draws. `events` in order of time; others refer to them by number."""

    events: list[dict[str, Any]]
    device: list[Reading] = field(default_factory=list)
    gateway: list[Reading] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    quarters: list[Quarter] = field(default_factory=list)
    relay: list[tuple[int, bool]] = field(default_factory=list)
    load: list[tuple[int, int]] = field(default_factory=list)
    left_out: int = 0  # records without register or legal time, or of a second device
    _labels: dict[str | None, str] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[dict[str, Any]]) -> "Series":
        """Reads the whole log."""
        series = cls(sorted((_regular(event) for event in events), key=lambda e: e["t_ns"]))
        series._read_records()
        series._read_transactions()
        series._read_steps()
        series.quarters = quarter_hours(series.device)
        return series

    @property
    def recorded(self) -> list[Transaction]:
        """The transactions that have a record."""
        return [transaction for transaction in self.transactions if transaction.recorded]

    def label(self, uuid: str | None) -> str:
        """`T1` of a transaction, `rest` of None."""
        return self._labels.get(uuid, "rest")

    def span_ms(self) -> tuple[int, int] | None:
        """From the first to the last instant of the chart, None when there is nothing on it."""
        times = [reading.t_ms for reading in self.device + self.gateway]
        times += [t_ms for t_ms, _ in self.relay]
        times += [time for quarter in self.quarters for time in (quarter.from_ms, quarter.to_ms)]
        if not times:
            times = [t_ms for t_ms, _ in self.load]
        return (min(times), max(times)) if times else None

    def _read_records(self) -> None:
        seen: dict[tuple[str, str, int], Reading] = {}
        for event in self.events:
            if event["name"] not in _RECORDS or not event["ok"]:
                continue
            reading = _reading(event)
            if reading is None:
                self.left_out += 1
            else:
                seen.setdefault((reading.witness, reading.source, reading.seq), reading)
        first = next((r.source for r in seen.values() if r.witness == DEVICE), None)
        for reading in seen.values():
            if reading.witness == GATEWAY:
                self.gateway.append(reading)
            elif reading.source == first:
                self.device.append(reading)
            else:
                self.left_out += 1
        self.device.sort(key=lambda reading: reading.seq)
        self.gateway.sort(key=lambda reading: (reading.t_ms, reading.source, reading.seq))

    def _read_transactions(self) -> None:
        found: dict[str, Transaction] = {}
        for number, event in enumerate(self.events):
            uuid = event["uuid"]
            if uuid is None:
                continue
            one = found.setdefault(uuid, Transaction(uuid))
            one.events.append(number)
            text = event["detail"].get("text")
            if not one.text and event["name"] in ("command.in", "device.taf16", "record.written"):
                one.text = text if isinstance(text, str) else ""
        for reading in self.device + self.gateway:
            one = found.get(reading.uuid or "")
            edge = _edge(reading.event)
            if one is not None and edge is not None:
                one.readings.setdefault((reading.witness, edge), reading)
        self.transactions = list(found.values())
        for letter, recorded in (("T", True), ("R", False)):
            group = [one for one in self.transactions if one.recorded == recorded]
            for number, one in enumerate(group, 1):
                one.label = self._labels[one.uuid] = f"{letter}{number}"

    def _read_steps(self) -> None:
        for event in self.events:
            t_ms = event["t_ns"] // 1_000_000
            if event["name"] in ("relay.closed", "relay.opened"):
                self.relay.append((t_ms, event["name"] == "relay.closed"))
            elif event["name"] == "load.power":
                power_w = event["detail"].get("power_w")
                if type(power_w) is int and abs(power_w) < 10**12:
                    self.load.append((t_ms, power_w))


def quarter_hours(records: list[Reading]) -> list[Quarter]:
    """Cuts the device's records at every TAF7 reading.

    The energy between two neighbouring readings belongs to the transaction open there, else to
    the rest; the parts of a quarter hour add up to its total by construction.
    """
    found: list[Quarter] = []
    start: Reading | None = None
    before: Reading | None = None
    parts: dict[str | None, Energy] = {}
    owner: str | None = None
    for record in records:
        if before is not None:
            energy = record.register - before.register
            if energy.raw:
                parts[owner] = parts[owner] + energy if owner in parts else energy
        if record.taf == 7:
            if start is not None:
                total = record.register - start.register
                found.append(Quarter(_grid_ms(start), _grid_ms(record), total, parts))
            start, parts = record, {}
        elif _edge(record.event) == "begin":
            owner = record.uuid
        elif _edge(record.event) == "end":
            owner = None
        before = record
    return found


def register(detail: dict[str, Any]) -> Energy | None:
    """The import register in `values` of an event's details."""
    values = detail.get("values")
    for value in values if isinstance(values, list) else ():
        if not isinstance(value, dict) or value.get("obis") != IMPORT:
            continue
        raw, scaler, unit = value.get("raw"), value.get("scaler"), value.get("unit")
        if unit == _WH and type(raw) is int and type(scaler) is int and abs(raw) < 2**64:
            return Energy(raw, scaler) if abs(scaler) <= MAX_SCALER else None
    return None


def text_of(value: Any) -> str:
    """A JSON value as text: strings as they are, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _edge(event: str) -> str | None:
    if event == "begin":
        return "begin"
    return "end" if event in ENDS else None


def _grid_ms(record: Reading) -> int:
    return record.t_ms if record.due_ms is None else record.due_ms


def _regular(event: dict[str, Any]) -> dict[str, Any]:
    """The event with every field of the log in its type; what is missing is empty."""
    t_ns, detail, raw = event.get("t_ns"), event.get("detail"), event.get("raw")
    uuid = event.get("uuid")
    return {
        "id": text_of(event.get("id", "")),
        "t_ns": t_ns if type(t_ns) is int else 0,
        "lane_from": text_of(event.get("lane_from", "?")),
        "lane_to": text_of(event.get("lane_to", "?")),
        "kind": text_of(event.get("kind", "?")),
        "uuid": None if uuid is None else text_of(uuid),
        "name": text_of(event.get("name", "?")),
        "ok": event.get("ok") is not False,
        "detail": detail if isinstance(detail, dict) else {"detail": detail},
        "raw": raw if isinstance(raw, str) else None,
    }


def _reading(event: dict[str, Any]) -> Reading | None:
    detail = event["detail"]
    energy, t_ms, seq = register(detail), _time(detail, "captured_ms"), detail.get("seq")
    if energy is None or t_ms is None or type(seq) is not int:
        return None
    witness, taf = _RECORDS[event["name"]]
    return Reading(
        witness,
        taf,
        seq,
        event["uuid"],
        text_of(detail.get("event") or ""),
        text_of(detail.get("text") or ""),
        t_ms,
        _time(detail, "due_ms") if taf == 7 else None,
        energy,
        text_of(detail.get("device_id" if witness == DEVICE else "profile_id", "")),
    )


def _time(detail: dict[str, Any], key: str) -> int | None:
    t_ms = detail.get(key)
    return t_ms if type(t_ms) is int and 0 < t_ms < MAX_MS else None
