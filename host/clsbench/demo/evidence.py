"""What the demo's checks are made from, and the arithmetic they share. Pure, integers only.

Energies are integers in units of 0.1 Wh (`_dwh`), the finest resolution on this bench.
"""

from dataclasses import dataclass
from typing import Any

from clsbench.device.records import ENDS, DeviceRecord

IMPORT = "1-0:1.8.0*255"
QUARTER_MS = 900_000
W_MS_PER_DWH = 360_000  # 1 W for 1 ms, 360,000 times, is 0.1 Wh


@dataclass(frozen=True)
class GatewayRecord:
    """A verified gateway record: the signed content and the signed bytes."""

    content: dict[str, Any]
    cms: bytes

    @property
    def taf(self) -> int:
        """7 or 16."""
        return int(self.content["type"].removeprefix("taf"))

    def import_dwh(self) -> int | None:
        """The import register in 0.1 Wh, or None when the record holds none."""
        for value in self.content["values"]:
            if value["obis"] == IMPORT and value["unit"] == 30:
                return to_dwh(value["raw"], value["scaler"])
        return None


@dataclass(frozen=True)
class Pair:
    """Begin and end of one transaction in both witnesses; None where one is missing."""

    uuid: str
    device_begin: DeviceRecord | None
    device_end: DeviceRecord | None
    gateway_begin: GatewayRecord | None
    gateway_end: GatewayRecord | None

    @property
    def complete(self) -> bool:
        """True with all four records."""
        return None not in (
            self.device_begin,
            self.device_end,
            self.gateway_begin,
            self.gateway_end,
        )


@dataclass(frozen=True)
class Slot:
    """One quarter hour between two TAF7 readings of the device: parts by UUID (None: the rest)."""

    from_ms: int
    to_ms: int
    total_dwh: int
    parts_dwh: dict[str | None, int]


def to_dwh(raw: int, scaler: int) -> int:
    """raw * 10**scaler Wh in 0.1 Wh; finer registers are cut off as a counter does."""
    power = scaler + 1
    return raw * 10**power if power >= 0 else raw // 10**-power


def device_dwh(record: DeviceRecord) -> int:
    """The import register of a device record in 0.1 Wh. Raises ValueError when it has none."""
    value = record.value(IMPORT)
    if value is None:
        raise ValueError(f"record {record.seq} holds no {IMPORT}")
    return to_dwh(value.raw, value.scaler)


def with_register(records: list[DeviceRecord]) -> list[DeviceRecord]:
    """Those that carry the import register; boot, refusals, missed quarter hours may not."""
    return [record for record in records if record.value(IMPORT) is not None]


def told_missing(records: list[DeviceRecord]) -> set[int]:
    """Due times (ms) of the quarter hours of which the device says that there is no reading."""
    told: set[int] = set()
    for record in records:
        if record.taf == 7 and not record.values and record.event_ms is not None:
            first_ms = record.first_due_ms or record.event_ms
            told |= set(range(first_ms, record.event_ms + 1, QUARTER_MS))
    return told


def pair_up(
    uuids: list[str], device: list[DeviceRecord], gateway: list[GatewayRecord]
) -> list[Pair]:
    """The begin and end records of each transaction."""

    def of_device(uuid: str, events: tuple[str, ...]) -> DeviceRecord | None:
        return next((r for r in device if r.uuid == uuid and r.event in events), None)

    def of_gateway(uuid: str, events: tuple[str, ...]) -> GatewayRecord | None:
        return next(
            (
                r
                for r in gateway
                if r.content.get("uuid") == uuid and r.content.get("event") in events
            ),
            None,
        )

    return [
        Pair(
            uuid,
            of_device(uuid, ("begin",)),
            of_device(uuid, ENDS),
            of_gateway(uuid, ("begin",)),
            of_gateway(uuid, ENDS),
        )
        for uuid in uuids
    ]


def quarter_hours(records: list[DeviceRecord]) -> list[Slot]:
    """Cuts the series between the first and the last TAF7 reading at every record.

    The energy between two neighbouring readings belongs to the transaction open there, else to
    the rest; so the parts of a slot add up to its total by construction of the cuts, and what
    is checked is that the records allow it: one register, never falling, in order of numbers.
    A slot is longer than a quarter hour where a reading between is missing.
    """
    records = with_register(records)
    grid = [index for index, record in enumerate(records) if record.taf == 7]
    slots = []
    for first, last in zip(grid, grid[1:], strict=False):
        parts: dict[str | None, int] = {}
        for before, after in zip(records[first:last], records[first + 1 : last + 1], strict=True):
            energy = device_dwh(after) - device_dwh(before)
            owner = open_after(records, before)
            if energy:
                parts[owner] = parts.get(owner, 0) + energy
        total = device_dwh(records[last]) - device_dwh(records[first])
        slots.append(Slot(records[first].event_ms or 0, records[last].event_ms or 0, total, parts))
    return slots


def open_after(records: list[DeviceRecord], at: DeviceRecord) -> str | None:
    """UUID of the transaction that is open right after the record `at`."""
    owner = None
    for record in records:
        if record.seq > at.seq:
            break
        if record.event == "begin":
            owner = record.uuid
        elif record.event in ENDS:
            owner = None
    return owner


def agreement_bound_dwh(
    pair: Pair, max_power_w: int, latency_ms: int, step_dwh: int
) -> tuple[int, dict[str, int]]:
    """How far the two witnesses' energies may differ, and what it is made of (ms, W, 0.1 Wh).

    Between the two readings of one event at most max_power_w flows for the time between the
    capture times, known to within the device's stated time bounds and the time a reading is on
    its way (latency_ms). Each of the four registers is cut off at its resolution: step_dwh in
    all. Raises ValueError unless the pair is complete and its times are known.
    """
    apart = {}
    for name, device, gateway in (
        ("begin", pair.device_begin, pair.gateway_begin),
        ("end", pair.device_end, pair.gateway_end),
    ):
        gateway_ms = gateway.content["captured_ms"] if gateway else None
        if device is None or device.captured_ms is None or gateway_ms is None:
            raise ValueError(f"transaction {pair.uuid}: no two {name} readings with a time")
        apart[f"{name}_apart_ms"] = abs(device.captured_ms - gateway_ms)
        apart[f"{name}_time_bound_ms"] = device.bound_ms or 0
    span_ms = sum(apart.values()) + 2 * latency_ms
    power_part = -(-max_power_w * span_ms // W_MS_PER_DWH)
    detail = apart | {
        "latency_ms": 2 * latency_ms,
        "max_power_w": max_power_w,
        "resolution_dwh": step_dwh,
    }
    return power_part + step_dwh, detail
