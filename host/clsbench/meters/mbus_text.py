"""M-Bus documents in words: what `mbus_document` and `wmbus_document` say, for people and JSON.

Values as libmbus prints them, because existing programs expect that: in the base unit of the
quantity (Wh, s, m^3), with six decimals. Beside it stands the exact number, `raw` and `scaler`,
in the unit that was sent (`unit_code`, of DLMS where it has one).
"""

import re
from typing import Any

from clsbench.meters.mbus_names import (
    APPLICATION_ERRORS,
    FIXED_MEDIA,
    FIXED_UNITS,
    FUNCTIONS,
    MEDIA,
    MODIFIERS,
    QUANTITIES,
    RECORD_ERRORS,
    SECURITY_MODES,
    UNITS,
)
from clsbench.meters.sml_document import decimal_text
from dicamm.proto import mbus_codes, mbus_reals, wmbus

Plain = dict[str, Any]

_DECIMALS = 6
_REAL_DIGITS = 9  # a real of 32 bits has no more
_FRAME_KINDS = {1: "acknowledge", 2: "short", 3: "long"}
_SPACINGS = ("s", "min", "h", "d", "half month", "month")
_MODES = ("absolute", "rising", "falling", "signed")
_CI_FIXED_SIGN_OF_DATE = 2


def readable(document: Plain) -> Plain:
    """The document with words for numbers, as `clsbench decode mbus --json` prints it."""
    frames = [frame_text(frame) for frame in document["frames"]]
    return {"frames": frames, "discarded": document["discarded"]}


def frame_text(frame: Plain) -> Plain:
    """One frame in words; what it holds beside records is kept."""
    told = {key: frame[key] for key in ("offset", "length", "valid", "error", "more")}
    told["kind"] = _FRAME_KINDS.get(frame["kind"], frame["kind"])
    told["control"] = frame["control"]
    told["address"] = frame["address"]
    return told | telegram_text(frame)


def readable_wireless(document: Plain) -> Plain:
    """The same for a document of `wmbus_document`."""
    frames = [wireless_text(frame) for frame in document["frames"]]
    return {"frames": frames, "discarded": document["discarded"]}


def wireless_text(frame: Plain) -> Plain:
    """One wireless telegram in words."""
    told = {key: frame[key] for key in ("offset", "length", "valid", "error")}
    if frame["error"] == wmbus.MODE:
        told["error"] = mode_text(frame["mode"]) + " is not supported"
    if frame["link"] is None:
        return told | {"link": None, "header": None, "records": []}
    failed = frame["error"] == "application error"
    return told | {
        "link": _link(frame["link"]),
        "header": _wireless_header(frame),
        "application_error": _application_error(frame["code"]) if failed else None,
        "more": frame["more"],
        "quirks": frame["quirks"],
        "records": [record_text(record) for record in frame["records"]],
    }


def _link(link: Plain) -> Plain:
    return {
        "format": link["form"],
        "control": f"{link['control']:02x}",
        "Id": identification_text(bytes.fromhex(link["identification"])),
        "Manufacturer": manufacturer_text(link["manufacturer"]),
        "Version": str(link["version"]),
        "Medium": _medium(link["medium"], False),
    }


def _wireless_header(frame: Plain) -> Plain:
    header = frame["header"]
    status, signature = header["status"], header["signature"]
    return {
        "Id": identification_text(bytes.fromhex(header["identification"])),
        "Manufacturer": manufacturer_text(header["manufacturer"]),
        "Version": str(header["version"]),
        "Medium": _medium(header["medium"], False),
        "AccessNumber": _digits(header["access"]),
        "Status": None if status is None else f"{status:02X}",
        "Signature": None if signature is None else f"{signature:04X}",
        "ci": None if header["ci"] is None else f"{header['ci']:02x}",
        "mode": frame["mode"],
        "counter": frame["counter"],
        "authentic": frame["authentic"],
    }


def telegram_text(said: Plain) -> Plain:
    """What stands behind the link layer: ci, header, application_error, records."""
    failed = said["error"] == "application error"
    alarm = said["code"] if said["code"] is not None and not failed else None
    return {
        "ci": None if said["ci"] is None else f"{said['ci']:02x}",
        "header": header_text(said["header"], fixed=said["counters"] is not None),
        "application_error": _application_error(said["code"]) if failed else None,
        "alarm": alarm,
        "records": _counters(said) if said["counters"] else _records(said),
    }


def header_text(header: Plain | None, *, fixed: bool = False) -> Plain | None:
    """The header as libmbus's XML has it: Id, Manufacturer, Version, Medium and so on."""
    if header is None:
        return None
    told: Plain = {}
    if header["identification"] is not None:
        digits = identification_text(bytes.fromhex(header["identification"]))
        told["Id"] = digits.lstrip("0") or "0"
    if header["manufacturer"] is not None:
        told["Manufacturer"] = manufacturer_text(header["manufacturer"])
        told["Version"] = str(header["version"])
    if header["medium"] is not None:
        told["Medium"] = _medium(header["medium"], fixed)
    told["AccessNumber"] = str(header["access"])
    told["Status"] = f"{header['status']:02X}"
    if header["signature"] is not None:
        told["Signature"] = f"{header['signature']:04X}"
    return told


def record_text(record: Plain) -> Plain:
    """One record in words."""
    unit, factor, power = UNITS[record["unit"]]
    return {
        "function": _function(record["kind"], record["function"]),
        "storage": str(record["storage"]),
        "tariff": _digits(record["tariff"]),
        "device": _digits(record["device"]),
        "unit": unit,
        "quantity": _quantity(record),
        "value": _value(record, factor, power),
        "dib": record["dib"],
        "vib": record["vib"],
        "data": record["data"],
        "raw": record["raw"],
        "scaler": record["scaler"],
        "unit_code": record["unit"],
        "modifiers": _modifiers(record),
        "quirks": _quirks(record),
        "profile": _profile(record["profile"], record["scaler"], factor, power),
    }


def number_text(raw: int, scaler: int, *, real: bool = False) -> str:
    """raw * 10**scaler with six decimals or, where those are not enough, all of them.

    real: rounded to six decimals, or to the digits that a real has where nothing would stay.
    """
    if not real or scaler >= -_DECIMALS:
        wanted = min(scaler, -_DECIMALS)
        return decimal_text(raw * 10 ** (scaler - wanted), wanted)
    rounded = mbus_reals.scaled(raw, scaler, -_DECIMALS)
    if rounded or not raw:
        return decimal_text(rounded, -_DECIMALS)
    wanted = scaler + max(0, len(str(abs(raw))) - _REAL_DIGITS)
    return decimal_text(mbus_reals.scaled(raw, scaler, wanted), wanted)


def mode_text(mode: int) -> str:
    """A security mode of the transport layer: "security mode 10 (AES-128-CCM)"."""
    return f"security mode {mode} ({SECURITY_MODES.get(mode, 'reserved')})"


def manufacturer_text(number: int) -> str:
    """The three letters of a manufacturer number (EN 62056-21, FLAG association)."""
    return "".join(chr(64 + (number >> shift & 31)) for shift in (10, 5, 0))


def identification_text(identification: bytes) -> str:
    """The digits of an identification as a meter shows them: "00500023"."""
    return identification[::-1].hex().upper()


def _records(said: Plain) -> list[Plain]:
    return [record_text(record) for record in said["records"]]


def _counters(said: Plain) -> list[Plain]:
    stored = said["header"]["status"] & _CI_FIXED_SIGN_OF_DATE
    return [
        {
            "function": "Stored value" if stored else "Actual value",
            "storage": None,
            "tariff": None,
            "device": None,
            "unit": FIXED_UNITS[unit],
            "quantity": None,
            "value": _digits(raw),
            "dib": None,
            "vib": None,
            "data": data,
            "raw": raw,
        }
        for unit, raw, data in said["counters"]
    ]


def _value(record: Plain, factor: int, power: int) -> str | None:
    kind = record["kind"]
    if kind in (mbus_codes.RAW, mbus_codes.MORE, mbus_codes.UNREADABLE):
        return _octets(bytes.fromhex(record["octets"]))
    if kind == mbus_codes.BINARY:
        return _octets(bytes.fromhex(record["octets"])[::-1])
    if kind == mbus_codes.NOTHING:
        return ""
    if record["profile"] is not None:
        return _octets(bytes.fromhex(record["octets"]))
    if record["text"] is not None:
        suffix = "Z" if kind == mbus_codes.TIME_POINT and "T" in record["text"] else ""
        return record["text"] + suffix
    real = kind == mbus_codes.REAL
    if record["raw"] is None:
        return _not_finite(record["octets"]) if real else None
    return number_text(record["raw"] * factor, record["scaler"] + power, real=real)


def _not_finite(octets: str) -> str:
    """A real that is no number, as C prints it: "inf", "-inf", "nan", "-nan"."""
    bits = int.from_bytes(bytes.fromhex(octets), "little")
    return ("-" if bits >> 31 else "") + ("nan" if bits & 0x7FFFFF else "inf")


def _function(kind: int, function: int) -> str:
    if kind == mbus_codes.RAW:
        return "Manufacturer specific"
    if kind == mbus_codes.MORE:
        return "More records follow"
    return FUNCTIONS[function]


def _quantity(record: Plain) -> str:
    if record["kind"] in (mbus_codes.RAW, mbus_codes.MORE):
        return ""
    if record["quantity"] == mbus_codes.TEXT:
        return record["name"] or ""
    return QUANTITIES[record["quantity"]]


def _modifiers(record: Plain) -> list[str]:
    """Words for the VIFEs; from one of the maker on their meaning is the maker's."""
    if record["quantity"] == mbus_codes.MANUFACTURER:
        return []
    told = []
    for code in bytes.fromhex(record["modifiers"]):
        if code in MODIFIERS:
            told.append(MODIFIERS[code])
        elif code and not 0x70 <= code <= 0x7D and code not in RECORD_ERRORS:
            told.append(f"VIFE {code:02x}")
        if code == 0x7F:
            break
    return told


def _quirks(record: Plain) -> list[str]:
    kind, found = record["kind"], []
    if record["undefined"]:
        found.append("no value")
    if kind == mbus_codes.TIME_POINT:
        found += _time_quirks(record["text"])
    if kind in (mbus_codes.BCD, mbus_codes.NEGATIVE_BCD) and record["raw"] is None:
        found.append("digits above 9")
    if kind == mbus_codes.REAL and record["raw"] is None:
        found.append("not finite")
    if kind == mbus_codes.UNREADABLE:
        found.append("unknown DIF")
    if record["quantity"] != mbus_codes.MANUFACTURER:
        codes = bytes.fromhex(record["modifiers"]).split(b"\x7f")[0]
        found += [RECORD_ERRORS[code] for code in codes if code in RECORD_ERRORS]
    return found


def _time_quirks(text: str | None) -> list[str]:
    """What is odd about a time as mbus_words.date gives it; 0 and all ones are "every"."""
    if text is None:
        return ["time not valid"]
    time, month = re.search(r"(\d+):(\d+):(\d+)", text), re.search(r"-(\d+)-", text)
    limits = [(23, 31), (59, 63), (59, 63)]  # greatest, and the code for every one
    odd = time and any(
        greatest < int(number) < every for number, (greatest, every) in zip(time.groups(), limits)
    )
    odd = odd or month and 12 < int(month[1]) < 15
    return ["time out of range"] if odd else []


def _profile(profile: Plain | None, scaler: int, factor: int, power: int) -> Plain | None:
    if profile is None:
        return None
    back = profile["inverse"]
    return {
        "direction": "back in time" if back else "on in time",
        "mode": _MODES[profile["mode"]],
        "spacing": profile["spacing"],
        "spacing_unit": _SPACINGS[profile["spacing_unit"]],
        "values": [
            None if raw is None else number_text(raw * factor, scaler + power)
            for raw in profile["values"]
        ],
    }


def _medium(code: int, fixed: bool) -> str:
    return FIXED_MEDIA[code & 15] if fixed else MEDIA.get(code, f"Unknown medium ({code:#04x})")


def _application_error(code: int | None) -> str:
    return APPLICATION_ERRORS.get(code, f"Application error {code}")


def _digits(number: int | None) -> str | None:
    return None if number is None else str(number)


def _octets(data: bytes) -> str:
    return data.hex(" ").upper()
