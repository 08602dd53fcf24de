"""Finds out how to talk to a meter: line settings, address, and which models fit what it answers.

Two parts: the search (any whole reply counts, exceptions too: somebody is there), then the
comparison with the register maps of the catalogue. Both have a bound that is known before.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from clsbench.meters.catalogue import MeterModel, Register, compact
from clsbench.meters.master import Exchange, Line, Patience, SerialMaster
from clsbench.meters.meter_reader import identity
from clsbench.meters.rtu_responder import IDENTIFY, READ_DEVICE, crc16, with_crc
from dicamm.metering.meter import MeterProfile

BAUDS = (9600, 19200, 2400, 38400, 4800, 115200, 57600, 1200)
PARITIES = ("none", "even", "odd")
USUAL = tuple(
    Line(baud, parity) for baud in BAUDS[:6] for parity in PARITIES[:2]
)  # stop bits: a receiver takes one or two
_SETTLE_MS = 60
# what a value of a meter in service can be, per DLMS unit: a wrong map shows nonsense
_PLAUSIBLE = {
    27: (-(10**7), 10**7),
    28: (0, 10**7),
    29: (-(10**7), 10**7),
    30: (-(10**12), 10**12),
    32: (-(10**12), 10**12),
    33: (-10_000, 10_000),
    35: (0, 1_000),
    44: (40, 70),
    255: (-1, 1),
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model whose map fits. confirmed: of its registers, those that showed a plausible value.

    A zero confirms nothing: unlisted addresses show zeros too.
    """

    model: str
    name: str
    confirmed: int
    registers: int
    identification: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A meter on the line. tried_models: False when time ran out before the comparison ended."""

    unit: int
    line: Line
    candidates: list[Candidate]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What a search will try, most likely first, and how long it can take at most.

    search_ms: all line settings and addresses, nobody answering; compare_ms: the comparison with
    all models, nothing answering any more.
    """

    attempts: list[tuple[Line, int]]
    models: list[MeterModel]
    search_ms: int
    compare_ms: int

    @property
    def bound_ms(self) -> int:
        return self.search_ms + self.compare_ms


Progress = Callable[[str], None]


def make_plan(
    models: list[MeterModel],
    lines: Iterable[Line],
    units: Iterable[int],
    patience: Patience,
) -> Plan:
    """Addresses 1 and those the models are delivered with come first, at every line setting."""
    lines, units = list(dict.fromkeys(lines)), list(dict.fromkeys(units))
    known = {model.bus.address for model in models} | {1}
    first = [unit for unit in units if unit in known]
    rest = [unit for unit in units if unit not in known]
    attempts = [(line, unit) for group in (first, rest) for line in lines for unit in group]
    pings = {_ping(model) for model in models} if len(models) == 1 else {(4, 0, 2)}
    each = {line: sum(_most_ms(line, count, patience) for *_, count in pings) for line in lines}
    changes = 2 * len(lines) * _SETTLE_MS
    search_ms = sum(each[line] for line, _ in attempts) + changes
    slowest = min(lines, key=lambda line: line.baud)
    reads = {read for model in models for read in _reads(model)}
    compare_ms = sum(2 * _most_ms(slowest, count, patience) for *_, count in reads)
    extra = sum(len(model.identification) + 1 for model in models)
    return Plan(attempts, models, search_ms, compare_ms + extra * _most_ms(slowest, 32, patience))


def _most_ms(line: Line, count: int, patience: Patience) -> int:
    wire_ms = (13 + 2 * count) * line.bits_per_char * 1000 // line.baud
    return patience.timeout_ms + wire_ms + 80_000 // line.baud + 40


class Prober:
    """Carries a plan out on a master, whose tries should be 1. deadline: monotonic seconds."""

    def __init__(
        self, master: SerialMaster, plan: Plan, progress: Progress, deadline: float | None = None
    ):
        self._master, self._plan, self._say = master, plan, progress
        self._deadline = deadline
        self.tried = 0

    @property
    def late(self) -> bool:
        """Whether the stated time is over."""
        return self._deadline is not None and time.monotonic() > self._deadline

    def search(self, all_units: bool = False) -> Iterator[Found]:
        """The meters, as they are found; after the first, only its line setting is tried further,
        and only with all_units."""
        settled: Line | None = None
        for line, unit in self._plan.attempts:
            if self.late:
                return
            if settled is not None and line != settled:
                continue
            if line != self._master.line:
                self._master.set_line(line)
            self._say(f"{line}, address {unit}")
            self.tried += 1
            if self._somebody(unit):
                settled = line
                yield self.compare(unit)
                if not all_units:
                    return

    def compare(self, unit: int) -> Found:
        """Which models fit what answers at `unit`, the best first."""
        answers = _Answers(self._master, unit)
        fitting = []
        for model in self._plan.models:
            if self.late:
                break
            self._say(f"address {unit}: is it {model.model}?")
            if answers.plausible(model, _reads(model)[:1]):
                fitting.append(model)
        candidates = []
        for model in fitting:
            if self.late:
                break
            self._say(f"address {unit}: all registers of {model.model}")
            confirmed = answers.plausible(model, _reads(model))
            if confirmed:
                told = answers.identification(model)
                if told is not None:
                    total = len(model.registers)
                    candidates.append(Candidate(model.model, model.name, confirmed, total, told))
        candidates.sort(key=lambda entry: (-entry.confirmed, entry.registers, entry.model))
        return Found(unit, self._master.line, candidates, not self.late)

    def _somebody(self, unit: int) -> bool:
        models = self._plan.models
        function, address, count = _ping(models[0]) if len(models) == 1 else (4, 0, 2)
        return self._master.read(unit, function, address, count).error in ("none", "exception")


class _Answers:
    """What one meter has answered so far; every read goes out once, a broken one twice."""

    def __init__(self, master: SerialMaster, unit: int):
        self._master, self._unit = master, unit
        self._kept: dict[tuple[int, int, int], Exchange] = {}

    def read(self, function: int, address: int, count: int) -> Exchange:
        key = (function, address, count)
        if key not in self._kept:
            exchange = self._master.read(self._unit, *key)
            if exchange.error not in ("none", "exception"):
                exchange = self._master.read(self._unit, *key)
            self._kept[key] = exchange
        return self._kept[key]

    def plausible(self, model: MeterModel, reads: list[tuple[int, int, int]]) -> int:
        """Registers with a plausible value other than 0; 0 when any is refused or nonsense."""
        profile = MeterProfile(compact(model))
        count = 0
        for read in reads:
            exchange = self.read(*read)
            if exchange.error != "none":
                return 0
            for _, raw, scaler, unit in profile.decode(*read[:2], exchange.payload):
                low, high = _PLAUSIBLE.get(unit, (-(10**12), 10**12))
                value = raw * 10**scaler if scaler >= 0 else raw / 10**-scaler
                if not low <= value <= high:
                    return 0
                count += raw != 0
        return count

    def identification(self, model: MeterModel) -> dict[str, str] | None:
        """What the meter says of itself; None when that contradicts the model."""
        told: dict[str, str] = {}
        for entry in model.identification:
            text = identity(self._master, self._unit, entry)
            if text is None:
                continue
            if entry.expect is not None and text != str(entry.expect):
                return None
            told[entry.name] = text
        if model.device_identification:
            objects = read_device_identification(self._master, self._unit)
            told.update(zip(("vendor", "product", "firmware"), objects))
        return told


def read_device_identification(master: SerialMaster, unit: int) -> list[str]:
    """Vendor, product code and revision by function 43/14; empty where it is not answered.

    Source: Modbus Application Protocol V1.1b3, section 6.21.
    """
    request = with_crc(bytes((unit, IDENTIFY, READ_DEVICE, 1, 0)))
    reply = master.raw_exchange(request, lambda data: len(data) > 7 and not crc16(data))
    body = reply[8:-2]
    if len(reply) < 10 or crc16(reply) or reply[:3] != bytes((unit, IDENTIFY, READ_DEVICE)):
        return []
    texts = []
    while len(body) >= 2 and len(body) >= 2 + body[1]:
        texts.append(body[2 : 2 + body[1]].decode("latin-1"))
        body = body[2 + body[1] :]
    return texts


def _reads(model: MeterModel) -> list[tuple[int, int, int]]:
    """All reads of a model, the one that tells most about it first."""
    profile = MeterProfile(compact(model))
    reads = profile.plan(profile.obis_codes)
    telling = min(model.registers, key=_telling)
    return sorted(reads, key=lambda read: not _inside(telling, read))


def _telling(entry: Register) -> int:
    """A frequency is 50 or 60 Hz; a voltage tells nearly as much, energy little."""
    return {44: 0, 35: 1, 27: 2}.get(entry.dlms_unit, 3)


def _inside(entry: Register, read: tuple[int, int, int]) -> bool:
    function, address, count = read
    return entry.function == function and address <= entry.address < address + count


def _ping(model: MeterModel) -> tuple[int, int, int]:
    return _reads(model)[0]


def lines_of(
    models: list[MeterModel], bauds: Iterable[int], parities: Iterable[str]
) -> list[Line]:
    """What the user gave, each with each; else the models' delivery settings, then the usual."""
    bauds, parities = tuple(bauds), tuple(parities)
    if bauds or parities:
        return [Line(b, p) for b in bauds or BAUDS[:6] for p in parities or PARITIES[:2]]
    delivered = [
        Line(model.bus.baud, model.bus.parity or "none")
        for model in models
        if model.bus.baud is not None
    ]
    return list(dict.fromkeys([*(delivered if len(models) == 1 else []), *USUAL]))


def one_parity(lines: Iterable[Line]) -> list[Line]:
    """For a pty, which has no parity to try."""
    return list(dict.fromkeys(replace(line, parity="none") for line in lines))
