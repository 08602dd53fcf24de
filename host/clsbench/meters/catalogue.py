"""The meters this bench knows: register maps in firmware/meters/*.toml, checked as they load.

Knows the files and the compact form the device takes (`dicamm.metering.meter.MeterProfile`).
What the sources of a file do not state stays None here: it is for the installer to set.
"""

import difflib
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from clsbench.errors import BadInput
from clsbench.paths import firmware_dir

MAX_READ = 125  # registers; Modbus Application Protocol V1.1b3, section 6.3

# u: unsigned, i: two's complement, sm: sign bit and magnitude, bcd: a decimal digit in four bits
Digits = Literal["sm16", "sm32", "sm64", "bcd16", "bcd32", "bcd64"]
Kind = Literal["u16", "u32", "u64", "i16", "i32", "i64", "f32", "f64"] | Digits
WORDS = {"u16": 1, "u32": 2, "u64": 4, "i16": 1, "i32": 2, "i64": 4, "f32": 2, "f64": 4}
WORDS |= {"sm16": 1, "sm32": 2, "sm64": 4, "bcd16": 1, "bcd32": 2, "bcd64": 4}

# unit in the file -> (DLMS unit code, power of ten over that unit); codes: IEC 62056-6-2
UNITS = {
    "W": (27, 0),
    "kW": (27, 3),
    "VA": (28, 0),
    "kVA": (28, 3),
    "var": (29, 0),
    "kvar": (29, 3),
    "Wh": (30, 0),
    "kWh": (30, 3),
    "VAh": (31, 0),
    "kVAh": (31, 3),
    "varh": (32, 0),
    "kvarh": (32, 3),
    "A": (33, 0),
    "V": (35, 0),
    "Hz": (44, 0),
    "1": (255, 0),
}

_OBIS = re.compile(r"(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})")


Factor = Annotated[int, Field(ge=1, le=1_000_000)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Register(_Table):
    """One quantity and where it stands.

    obis: `1-0:1.8.0`; its last group is 255. An integer register holds value / 10**resolution
    in `unit`; a float register holds the value in `unit`, of which multiples of 10**resolution
    mean something. resolution_assumed: the sources do not state it.
    factor: [above, below] where the number counts odd steps: value = number * above / below in
    `unit`, handed out to the nearest 10**resolution. word_order: where it differs from the bus's.
    no_value: bits by which this register says that it has nothing to tell.
    doubt: what the sources leave open about this very register.
    """

    obis: str
    address: int = Field(ge=0, le=0xFFFF)
    function: Literal[3, 4]
    type: Kind
    unit: str
    resolution: int = Field(ge=-9, le=9)
    resolution_assumed: bool = False
    factor: Annotated[list[Factor], Field(min_length=2, max_length=2)] | None = None
    word_order: Literal["big", "little"] | None = None
    no_value: Annotated[int, Field(ge=0, lt=1 << 64)] | None = None
    doubt: str | None = None

    @field_validator("obis")
    @classmethod
    def _obis_has_five_groups(cls, text: str) -> str:
        found = _OBIS.fullmatch(text)
        if not found or any(int(group) > 255 for group in found.groups()):
            raise ValueError("an OBIS code like 1-0:1.8.0 is wanted")
        return text

    @field_validator("unit")
    @classmethod
    def _unit_is_known(cls, unit: str) -> str:
        if unit not in UNITS:
            raise ValueError(f"unknown unit; known: {', '.join(UNITS)}")
        return unit

    @property
    def words(self) -> int:
        return WORDS[self.type]

    @property
    def obis_bytes(self) -> bytes:
        """The six bytes of the code, the last one 255."""
        groups = re.findall(r"\d+", self.obis)
        return bytes([*map(int, groups), 255])

    @property
    def dlms_unit(self) -> int:
        return UNITS[self.unit][0]

    @property
    def scaler(self) -> int:
        """Power of ten of the integer handed out, over the DLMS unit: 0.01 kWh is 1 (10 Wh)."""
        return self.resolution + UNITS[self.unit][1]


class Identification(_Table):
    """A register that tells which meter this is.

    type "string": `words` registers of two characters each, closed by zeros or blanks;
    words_assumed: the sources do not state how many. expect: what this model says, where that is
    known (it then tells models apart). note: what else is known of it.
    """

    name: Literal["serial_number", "vendor", "product", "code"]
    address: int = Field(ge=0, le=0xFFFF)
    function: Literal[3, 4]
    type: Literal["u16", "u32", "u64", "string"]
    words: int = Field(default=0, ge=0, le=32)
    words_assumed: bool = False
    expect: int | str | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _only_a_string_has_a_length(self) -> Self:
        if (self.type == "string") != bool(self.words):
            raise ValueError("words: a string needs it, a number has its own")
        return self

    @property
    def count(self) -> int:
        """Registers of a read."""
        return self.words or WORDS[self.type]


class BusDefaults(_Table):
    """How the meter is delivered and what it stands; None where the sources do not state it.

    max_gap: most unlisted registers read along between two listed ones. word_order: "little"
    when the least significant word of a value comes first.
    """

    address: Annotated[int, Field(ge=1, le=247)] | None = None
    baud: Annotated[int, Field(ge=300, le=1_000_000)] | None = None
    parity: Literal["none", "even", "odd"] | None = None
    stop_bits: Literal[1, 2] | None = None
    max_registers: Annotated[int, Field(ge=4, le=MAX_READ)] | None = None
    max_gap: int = Field(default=0, ge=0, le=MAX_READ)
    word_order: Literal["big", "little"] = "big"


class MeterModel(_Table):
    """A meter model. `model` is the file's name without suffix, the other fields its content.

    device_identification: it answers function 43/14 (Modbus Application Protocol V1.1b3, 6.21).
    """

    model: str
    name: str
    source: str = Field(min_length=1)
    phases: Literal[1, 3]
    no_value: Literal["ones"] | None = None
    notes: list[str] = []
    device_identification: bool = False
    bus: BusDefaults
    identification: list[Identification] = []
    registers: list[Register] = Field(alias="register", min_length=1)

    @property
    def unknown(self) -> list[str]:
        """What the sources do not state, by the name the file would give it."""
        bus = ("address", "baud", "parity", "stop_bits", "max_registers")
        missing = [name for name in bus if getattr(self.bus, name) is None]
        if all(entry.name != "serial_number" for entry in self.identification):
            missing.append("serial_number")
        return missing

    def word_order(self, register: Register) -> str:
        """Order of the words of a value: the register's own, or the bus's."""
        return register.word_order or self.bus.word_order

    @model_validator(mode="after")
    def _registers_stand_apart(self) -> Self:
        seen: set[str] = set()
        for entry in self.registers:
            if entry.obis in seen:
                raise ValueError(f"register {entry.obis} is given twice")
            if entry.address + entry.words > 0x10000:
                raise ValueError(f"register {entry.obis} ends beyond address 0xFFFF")
            seen.add(entry.obis)
        ordered = sorted(self.registers, key=lambda entry: (entry.function, entry.address))
        for left, right in pairwise(ordered):
            if left.function == right.function and right.address < left.address + left.words:
                raise ValueError(f"registers {left.obis} and {right.obis} overlap")
        return self


def meters_dir() -> Path:
    """Where the register maps are."""
    return firmware_dir() / "meters"


def models() -> list[str]:
    """The names that load() knows, sorted."""
    return sorted(path.stem for path in meters_dir().glob("*.toml"))


def load(model: str) -> MeterModel:
    """The meter model of that name, or of that path when it ends in .toml.

    Raises BadInput: unknown name, or a fault in its file.
    """
    if model.endswith(".toml"):
        return load_file(Path(model))
    known = models()
    if model not in known:
        near = difflib.get_close_matches(model, known, n=3, cutoff=0.4)
        hint = f"Nearest: {', '.join(near)}. " if near else ""
        raise BadInput(f"no meter model '{model}'. {hint}All: clsbench meter list")
    return load_file(meters_dir() / f"{model}.toml")


def load_file(path: Path) -> MeterModel:
    """The meter model in a TOML file. Raises BadInput naming file and key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"meter file {path}: {error}") from error
    if "model" in data:
        raise BadInput(f"meter file {path}: model: the file's name says it. Remove the line")
    try:
        return MeterModel.model_validate({"model": path.stem, **data})
    except ValidationError as error:
        raise BadInput(f"meter file {path}: {_faults(error, data)}") from error


def compact(model: MeterModel | str) -> dict[str, Any]:
    """The form the device takes, fit for JSON; see `dicamm.metering.meter.MeterProfile`.

    kWh becomes Wh here, by moving the powers of ten. Bus defaults that are unknown are left out.
    """
    meter = load(model) if isinstance(model, str) else model
    data: dict[str, Any] = {"model": meter.model}
    data.update(meter.bus.model_dump(exclude_none=True, exclude={"word_order"}))
    if meter.no_value:
        data["undefined"] = 1
    data["registers"] = [_row(entry, meter.word_order(entry)) for entry in meter.registers]
    return data


def _row(entry: Register, word_order: str) -> list[Any]:
    holds_value = entry.type in ("f32", "f64") or entry.factor is not None
    row = [
        entry.obis_bytes.hex(),
        entry.address,
        entry.function,
        entry.type,
        int(word_order == "little"),
        entry.dlms_unit,
        entry.scaler,
        UNITS[entry.unit][1] if holds_value else entry.scaler,
    ]
    if entry.factor is not None or entry.no_value is not None:
        row += [entry.no_value, *(entry.factor or (1, 1))]
    return row


def _faults(error: ValidationError, data: dict[str, Any]) -> str:
    return "; ".join(_fault(fault["loc"], fault["msg"], data) for fault in error.errors())


def _fault(loc: tuple[int | str, ...], message: str, data: dict[str, Any]) -> str:
    """`register 3 (1-0:1.8.0), unit: …` for a place in the file, counted from 1."""
    message = message.removeprefix("Value error, ")
    if len(loc) >= 2 and loc[0] == "register" and isinstance(loc[1], int):
        entry = data["register"][loc[1]]
        obis = entry.get("obis", "no obis") if isinstance(entry, dict) else "no table"
        key = ".".join(str(part) for part in loc[2:])
        return f"register {loc[1] + 1} ({obis}), {key}: {message}"
    key = ".".join(str(part) for part in loc)
    return f"{key}: {message}" if key else message
