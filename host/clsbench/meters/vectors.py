"""Vectors of a meter file: bytes a meter answers, and the values they must give on the device.

Knows the vector files (TOML) and asks the device's own register map. What stands in a vector is
worked out by hand from the meter's documents, so that it leans on none of our own code.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clsbench.errors import BadInput
from clsbench.meters.catalogue import UNITS, MeterModel, compact
from dicamm.metering.meter import MeterProfile
from dicamm.proto import obis

Value = tuple[int, int, str]
"""(raw, scaler, unit without prefix): the value is raw * 10**scaler in that unit."""


class Reply(BaseModel):
    """What the meter answers to one read, and what must come of it.

    registers: hex, blanks are ignored. values: OBIS -> [raw, scaler, unit]; every value that
    begins in these registers stands there or in `refused` (OBIS -> reason of the device).
    note: the working by which the values were found.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    function: Literal[3, 4]
    address: int = Field(ge=0, le=0xFFFF)
    registers: str
    values: dict[str, Annotated[list[int | str], Field(min_length=3, max_length=3)]] = {}
    refused: dict[str, str] = {}
    note: str = Field(min_length=1)


class _Vectors(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    reply: list[Reply] = Field(min_length=1)


def load_vectors(path: Path) -> list[Reply]:
    """The replies of a vector file. Raises BadInput naming file and key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        found = _Vectors.model_validate(data).reply
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"vector file {path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"vector file {path}: {place}: {first['msg']}") from error
    for number, entry in enumerate(found, 1):
        try:
            bytes.fromhex(entry.registers)
        except ValueError as error:
            raise BadInput(f"vector file {path}: reply {number}, registers: {error}") from error
    return found


def differences(model: MeterModel, reply: Reply) -> list[str]:
    """How the device's values differ from the vector's, a line for each."""
    profile = MeterProfile(compact(model))
    payload = bytes.fromhex(reply.registers)
    found = {
        _text(code): (raw, scaler, unit)
        for code, raw, scaler, unit in profile.decode(reply.function, reply.address, payload)
    }
    wanted = {name: _numbers(value) for name, value in reply.values.items()}
    refused = {_text(code): reason for code, reason in profile.last_refused}
    return [*_compare(wanted, found, "value"), *_compare(reply.refused, refused, "refused")]


def _compare(wanted: dict[str, Any], found: dict[str, Any], what: str) -> list[str]:
    return [
        f"{name}: {what} {wanted.get(name, 'none')} wanted, {found.get(name, 'none')} given"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]


def _numbers(value: list[int | str]) -> tuple[Any, ...]:
    """With the DLMS code in place of the unit's name; an unknown name stays and differs."""
    raw, scaler, unit = value
    code, prefix = UNITS.get(str(unit), (unit, 0))
    return (raw, scaler, code if not prefix else f"{unit}: give it without prefix")


def _text(code: bytes) -> str:
    return obis.text(code).split("*")[0]
