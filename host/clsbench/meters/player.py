"""A catalogue meter as a Modbus unit: its registers, filled from a plant, ready to be read.

All registers are filled together every `refresh_ms` of bench time, as a meter does; between two
fillings a read is a slice. Knows no line and no frame (rtu_responder has those).
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from clsbench.clock import BenchClock
from clsbench.errors import BadInput
from clsbench.meters.catalogue import MAX_READ, UNITS, Identification, MeterModel, Register
from clsbench.meters.load import Plant
from clsbench.meters.registers import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    MeterValues,
    encode_raw,
    encode_register,
    register_raw,
)

REFRESH_MS = 100
SERIAL_NUMBER = 12345678
_NAMES = {"vendor": "clsbench", "product": "simulated meter"}


@dataclass(frozen=True, slots=True)
class SetValues(MeterValues):
    """A meter's values, some of them nailed down. fixed: OBIS -> value in V, A, W, Wh, ..."""

    fixed: Mapping[str, Fraction] = field(default_factory=dict)

    def quantity(self, obis: str) -> Fraction:
        """As in MeterValues, or what was set."""
        found = self.fixed.get(obis.split("*")[0])
        return MeterValues.quantity(self, obis) if found is None else found


@dataclass(slots=True)
class _Span:
    """Addresses that may be read in one go."""

    first: int
    image: bytearray
    registers: list[Register]


class MeterPlayer:
    """One simulated meter, a `Unit` of the RtuResponder.

    plant, feeder: where the energy flows. start_wh: what the import register shows at the
    beginning. fixed: values that stand still, OBIS (`1-0:32.7.0`) -> value in the register's
    unit as decimal text. serial_number: where the model has a register for it.
    Raises BadInput: a value that no register of the model shows, or that fits none.
    """

    def __init__(
        self,
        model: MeterModel,
        plant: Plant,
        clock: BenchClock,
        *,
        feeder: str = "mid",
        start_wh: int = 0,
        fixed: Mapping[str, str] | None = None,
        serial_number: int = SERIAL_NUMBER,
        refresh_ms: int = REFRESH_MS,
    ):
        self.model = model
        self._plant, self._feeder, self._clock = plant, feeder, clock
        self._start_wh, self._refresh_ms = start_wh, refresh_ms
        self._fixed = _fixed_values(model, fixed or {})
        self._limit = model.bus.max_registers or MAX_READ
        self._spans = {function: _spans(model, function) for function in (3, 4)}
        for entry in model.identification:
            text = _identity(entry, serial_number)
            self._spans[entry.function].append(_Span(entry.address, bytearray(text), []))
        self.objects = _objects(model)
        self._revision = 0
        self._filled_ms = 0
        self._lock = threading.Lock()
        self.values = self._fill()

    def revision(self) -> int:
        """Counts the fillings; fills anew when the registers are older than refresh_ms."""
        if self._clock.now_ms() - self._filled_ms >= self._refresh_ms:
            self.values = self._fill()
        return self._revision

    def read(self, function: int, address: int, count: int) -> bytes | int:
        """The register bytes, or the exception code that refuses the read."""
        spans = self._spans.get(function)
        if not spans:
            return ILLEGAL_FUNCTION
        if not 1 <= count <= self._limit:
            return ILLEGAL_VALUE
        for span in spans:
            at = 2 * (address - span.first)
            if at >= 0 and at + 2 * count <= len(span.image):
                return bytes(span.image[at : at + 2 * count])
        return ILLEGAL_ADDRESS

    def write(self, address: int, data: bytes) -> int:
        """No register of a meter in the catalogue is written: refused."""
        return ILLEGAL_FUNCTION

    def shown(self) -> dict[str, int]:
        """What every register shows now: OBIS -> raw (times 10**scaler in the DLMS unit)."""
        return {entry.obis: register_raw(entry, self.values) for entry in self.model.registers}

    def _fill(self) -> MeterValues:
        with self._lock:
            self._filled_ms = self._clock.now_ms()
            reading = self._plant.reading(self._feeder, self._filled_ms)
            phases = self.model.phases
            values = SetValues(reading, self._start_wh, phases, fixed=self._fixed)
            for spans in self._spans.values():
                for span in spans:
                    for entry in span.registers:
                        at = 2 * (entry.address - span.first)
                        data = encode_register(entry, values, self.model.bus.word_order)
                        span.image[at : at + len(data)] = data
            self._revision += 1
            return values


def _spans(model: MeterModel, function: int) -> list[_Span]:
    """Runs of registers with no more than max_gap unlisted addresses between two."""
    spans: list[_Span] = []
    for entry in sorted(model.registers, key=lambda entry: entry.address):
        if entry.function != function:
            continue
        end = spans[-1].first + len(spans[-1].image) // 2 if spans else -1
        if not spans or entry.address - end > model.bus.max_gap:
            spans.append(_Span(entry.address, bytearray(), []))
        span = spans[-1]
        span.image.extend(bytes(2 * (entry.address + entry.words - span.first) - len(span.image)))
        span.registers.append(entry)
    return spans


def _fixed_values(model: MeterModel, fixed: Mapping[str, str]) -> dict[str, Fraction]:
    units = {entry.obis: entry.unit for entry in model.registers}
    found: dict[str, Fraction] = {}
    for obis, text in fixed.items():
        code = obis.split("*")[0]
        if code not in units:
            raise BadInput(
                f"{model.model} shows no {obis}. See: clsbench meter show {model.model}"
            )
        try:
            found[code] = Fraction(text) * Fraction(10) ** UNITS[units[code]][1]
        except (ValueError, ZeroDivisionError) as error:
            raise BadInput(f"{obis}={text}: a decimal number is wanted") from error
    return found


def _identity(entry: Identification, serial_number: int) -> bytes:
    """The bytes of an identification register of the simulated meter."""
    told: int | str = serial_number if entry.name == "serial_number" else 1
    if entry.type == "string":
        told = str(serial_number) if entry.name == "serial_number" else _NAMES[entry.name]
    if entry.expect is not None:
        told = entry.expect
    if entry.type == "string":
        return str(told).encode("ascii")[: 2 * entry.count].ljust(2 * entry.count, b"\0")
    return encode_raw(entry.type, int(told))


def _objects(model: MeterModel) -> dict[int, bytes]:
    """What function 43/14 tells: vendor, product code, revision."""
    if not model.device_identification:
        return {}
    return {0: b"clsbench", 1: model.name.encode("ascii", "replace"), 2: b"simulated"}
