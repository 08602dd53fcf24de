"""M-Bus records as registers of the original list: OBIS codes for gas, water, heat, electricity.

Knows the records of `meters.mbus_document` and the identities of meters; no line. What has no
code here is left out, and so are stored values, extremes and the maker's own data, which must
not be billed.
Sources: EN 13757-1 and OMS specification volume 2 annex A (OBIS codes by medium); BSI
Detailspezifikationen 2.0 chapter 10; DIN 43863-5 (device ids); forms 01 and 02 of server ids.
"""

from collections.abc import Iterable
from typing import Any

from clsbench.errors import BadInput
from clsbench.meters.device_id import server_id
from clsbench.smgw.core.profiles import MeterProfile
from clsbench.smgw.core.readings import MAX_RAW, OriginalReading, ReadingRefused, Value
from clsbench.smgw.core.status import METER_FATAL

_ENERGY, _VOLUME, _POWER, _FLOW, _FORWARD_TEMPERATURE, _RETURN_TEMPERATURE = 1, 2, 6, 7, 9, 10
_HEAT = {
    _ENERGY: "{0}-0:1.0.{1}*255",
    _VOLUME: "{0}-0:2.0.{1}*255",
    _POWER: "{0}-0:8.0.{1}*255",
    _FLOW: "{0}-0:9.0.{1}*255",
    _FORWARD_TEMPERATURE: "{0}-0:10.0.{1}*255",
    _RETURN_TEMPERATURE: "{0}-0:11.0.{1}*255",
}
_WATER = {_VOLUME: "{0}-0:1.0.{1}*255", _FLOW: "{0}-0:2.0.{1}*255"}
_GAS = {_VOLUME: "{0}-0:3.0.{1}*255", _FLOW: "{0}-0:43.0.{1}*255"}
_ELECTRICITY = {_ENERGY: "{0}-0:1.8.{1}*255", _POWER: "{0}-0:1.7.{1}*255"}
_EXPORT = {_ENERGY: "{0}-0:2.8.{1}*255", _POWER: "{0}-0:2.7.{1}*255"}

# medium of the telegram: OBIS group A, codes by quantity
_MEDIA: dict[int, tuple[int, dict[int, str]]] = {
    0x02: (1, _ELECTRICITY),
    0x03: (7, _GAS),
    0x04: (6, _HEAT),
    0x06: (9, _WATER),
    0x07: (8, _WATER),
    0x0A: (5, _HEAT),
    0x0B: (5, _HEAT),
    0x0C: (6, _HEAT),
    0x0D: (6, _HEAT),
    0x15: (9, _WATER),
    0x16: (8, _WATER),
}
_FORWARD, _BACKWARD = "3b", "3c"
_LAST_DLMS_UNIT = 129  # units above are the reader's own
_PERMANENT_ERROR = 0x08  # status byte, EN 13757-3


def reading_of(
    address: bytes,
    status: int,
    records: Iterable[dict[str, Any]],
    captured_ms: int,
    profile: MeterProfile,
    telegram: bytes,
) -> OriginalReading:
    """The reading in decoded records; address: `identity`'s eight bytes. Raises ReadingRefused."""
    if not is_meter(profile.meter_id, address):
        raise ReadingRefused(f"meter {shown(address)} where {profile.meter_id} is configured")
    found: dict[str, Value] = {}
    for value in registers(address[7], records):
        found.setdefault(value.obis, value)
    missing = [obis for obis in profile.obis if obis not in found]
    if missing or not found:
        lacks = f"register {missing[0]} missing" if missing else "no register that has a code"
        raise ReadingRefused(f"meter {profile.meter_id}: {lacks} in its telegram")
    values = tuple(found[obis] for obis in profile.obis or found)
    word = 1 << METER_FATAL if status & _PERMANENT_ERROR else 0
    return OriginalReading(profile.meter_id, captured_ms, values, word, telegram)


def registers(medium: int, records: Iterable[dict[str, Any]]) -> Iterable[Value]:
    """The present values among `records` that have an OBIS code, whole numbers only."""
    group, codes = _MEDIA.get(medium, (0, {}))
    for record in records:
        present = record["function"] == 0 and record["storage"] == 0 and not record["device"]
        raw = record["raw"]
        if not present or record["undefined"] or not isinstance(raw, int):
            continue
        table = _EXPORT if record["modifiers"] == _BACKWARD and codes is _ELECTRICITY else codes
        plain = record["modifiers"] in ("", _FORWARD) or table is _EXPORT
        code = table.get(record["quantity"])
        if plain and code and record["unit"] <= _LAST_DLMS_UNIT and -MAX_RAW <= raw < MAX_RAW:
            obis = code.format(group, record["tariff"] or 0)
            yield Value(obis, raw, record["scaler"], record["unit"])


def identity(meter_id: str) -> bytes:
    """Manufacturer and identification of a meter as telegrams carry them, six bytes.

    meter_id: printed device id, whose last eight digits are the identification, or a server id
    in hex, form 01 (wireless) or 02 (wired). Raises BadInput.
    """
    try:
        data = bytes.fromhex(meter_id)
    except ValueError:
        data = b""
    if len(data) == 9 and data[0] == 1:
        return data[1:7]
    if len(data) == 9 and data[0] == 2:
        return data[5:7] + data[1:5]
    server_id(meter_id)  # raises for whatever is no device id
    code = 0
    for letter in meter_id[1:4]:
        code = code << 5 | ord(letter) - 64
    return code.to_bytes(2, "little") + bytes.fromhex(meter_id[6:])[::-1]


def is_meter(meter_id: str, address: bytes) -> bool:
    """Whether an address (manufacturer, identification, version, medium) is that meter's."""
    return identity(meter_id) == address[:6]


def secondary(meter_id: str) -> bytes:
    """What selects a meter on a wired bus: any version, any medium. Raises BadInput."""
    found = identity(meter_id)
    return found[2:] + found[:2] + b"\xff\xff"


def shown(address: bytes) -> str:
    """An address in words: letters and number."""
    code = int.from_bytes(address[:2], "little")
    letters = "".join(chr((code >> shift & 31) + 64) for shift in (10, 5, 0))
    return f"{letters} {address[2:6][::-1].hex()}"


def check_meter_id(meter_id: str) -> None:
    """Raises BadInput where M-Bus could not tell the meter."""
    try:
        identity(meter_id)
    except BadInput as error:
        raise BadInput(
            f"meter_id '{meter_id}': an M-Bus meter needs its device id (DIN 43863-5) or its "
            "server id in hex, 01... for wireless, 02... for wired"
        ) from error
