"""SML telegrams of simulated meters: what they push, and what they answer, in a frame.

Knows how values are written, not when. Independent of the device's reader. Source: SML 1.05
(BSI TR-03109-1 annex IV), chapters 5, 6 and 8.
"""

import re
from collections.abc import Iterable

from clsbench.errors import BadInput
from clsbench.meters.sml_second_reader import crc16_x25

Value = tuple[bytes, int | bytes | bool | None, int | None, int | None, int | None]
"""(obis of 6 bytes, raw, scaler, unit as DLMS code, status); None: left out of the telegram."""

_ESCAPE = b"\x1b\x1b\x1b\x1b"
ABSENT = b"\x01"
GET_LIST = 0x0701
PARAMETER = 0x0501
PROFILE_LIST = 0x0401
ATTENTION = 0xFF01
_OPEN = 0x0101
_CLOSE = 0x0201
_LIST_NAME = bytes.fromhex("0100620affff")  # 1-0:98.10.255*255, the current values
_OBIS = re.compile(r"(\d+)-(\d+):(\d+)\.(\d+)\.(\d+)\*(\d+)")


def telegram(
    server_id: bytes, values: Iterable[Value], sec_index: int, transaction: int = 1
) -> bytes:
    """One telegram as a meter pushes it: open, value list and close message in a frame.

    sec_index: the meter's seconds counter (actSensorTime). transaction: number in the ids of
    the three messages. Integers take the narrowest of 1, 2, 4, 8 bytes, signed.
    """
    file_id = transaction.to_bytes(8, "big")[-4:]
    listed = value_list(server_id, values, sec_index)
    return file(server_id, file_id, [(GET_LIST, listed)], transaction)


def file(
    server_id: bytes, file_id: bytes, bodies: list[tuple[int, bytes]], transaction: int = 1
) -> bytes:
    """One telegram: (tag, encoded body) of each message, between open and close, in a frame."""
    opened = sml_list(ABSENT, ABSENT, octets(file_id), octets(server_id), ABSENT, ABSENT)
    whole = [(_OPEN, opened), *bodies, (_CLOSE, sml_list(ABSENT))]
    first = transaction % 2**24 * 4
    return frame(
        b"".join(
            message(octets(((first + place) % 2**32).to_bytes(4, "big")), tag, body)
            for place, (tag, body) in enumerate(whole)
        )
    )


def value_list(
    server_id: bytes, values: Iterable[Value], sec_index: int, list_name: bytes | None = None
) -> bytes:
    """The body of a GetList.Response."""
    return sml_list(
        ABSENT,
        octets(server_id),
        octets(list_name or _LIST_NAME),
        sec_index_time(sec_index),
        sml_list(*(_entry(value) for value in values)),
        ABSENT,
        ABSENT,
    )


def parameter(server_id: bytes, path: list[bytes], value: Value) -> bytes:
    """The body of a GetProcParameter.Response: one parameter, an entry of a period."""
    tree = sml_list(octets(path[-1]), sml_list(unsigned(2), _period_entry(value)), ABSENT)
    return sml_list(octets(server_id), sml_list(*map(octets, path)), tree)


def profile(
    server_id: bytes, path: list[bytes], row: tuple[int, int, Iterable[Value]], period_s: int
) -> bytes:
    """The body of a GetProfileList.Response: one row, (UTC seconds, status, values)."""
    utc_s, status, values = row
    return sml_list(
        octets(server_id),
        timestamp(utc_s),
        unsigned(period_s),
        sml_list(*map(octets, path)),
        timestamp(utc_s),
        unsigned(status),
        sml_list(*map(_period_entry, values)),
        ABSENT,
        ABSENT,
    )


def attention(server_id: bytes, number: int, text: str = "") -> bytes:
    """The body of an Attention.Response. number: its last two bytes."""
    code = b"\x81\x81\xc7\xc7" + number.to_bytes(2, "big")
    return sml_list(octets(server_id), octets(code), octets(text.encode("ascii")), ABSENT)


def frame(payload: bytes) -> bytes:
    """Transport version 1 around messages: escapes doubled, filled to four bytes, CRC X-25."""
    fill = -len(payload) % 4
    data = _ESCAPE + b"\x01\x01\x01\x01" + payload.replace(_ESCAPE, _ESCAPE * 2)
    data += bytes(fill) + _ESCAPE + bytes((0x1A, fill))
    return data + crc16_x25(data).to_bytes(2, "little")


def message(transaction_id: bytes, tag: int, body: bytes) -> bytes:
    """One message around an encoded body; `transaction_id` is an encoded octet string."""
    choice = sml_list(b"\x63" + tag.to_bytes(2, "big"), body)
    head = b"\x76" + transaction_id + unsigned(0) + unsigned(0) + choice
    return head + b"\x63" + crc16_x25(head).to_bytes(2, "little") + b"\x00"


def sml_list(*elements: bytes) -> bytes:
    """A list of encoded elements; the length field counts them."""
    return _type_length(0x70, len(elements), 0) + b"".join(elements)


def octets(value: bytes) -> bytes:
    """An octet string; an empty one is the same as an absent one."""
    return _type_length(0x00, len(value), 1) + value


def signed(value: int) -> bytes:
    """An integer in the narrowest of 1, 2, 4, 8 bytes. Raises BadInput beyond 64 bits."""
    return _integer(0x50, value, True)


def unsigned(value: int) -> bytes:
    """An unsigned integer in the narrowest of 1, 2, 4, 8 bytes. Raises BadInput as `signed`."""
    return _integer(0x60, value, False)


def sec_index_time(seconds: int) -> bytes:
    """SML_Time with choice 1: a seconds counter of 32 bits."""
    return sml_list(unsigned(1), b"\x65" + (seconds % 2**32).to_bytes(4, "big"))


def timestamp(utc_s: int) -> bytes:
    """SML_Time with choice 2: Unix seconds."""
    return sml_list(unsigned(2), b"\x65" + utc_s.to_bytes(4, "big"))


def obis_bytes(text: str) -> bytes:
    """The six bytes of `1-0:1.8.0*255`. Raises BadInput when the text is not of that form."""
    parts = _OBIS.fullmatch(text)
    if parts is None or any(int(part) > 255 for part in parts.groups()):
        raise BadInput(f"OBIS code '{text}': expected A-B:C.D.E*F, such as 1-0:1.8.0*255")
    return bytes(int(part) for part in parts.groups())


def _entry(value: Value) -> bytes:
    obis, raw, scaler, unit, status = value
    return sml_list(
        octets(obis),
        ABSENT if status is None else unsigned(status),
        ABSENT,
        ABSENT if unit is None else unsigned(unit),
        ABSENT if scaler is None else signed(scaler),
        _raw(raw),
        ABSENT,
    )


def _period_entry(value: Value) -> bytes:
    obis, raw, scaler, unit, _ = value
    return sml_list(
        octets(obis),
        ABSENT if unit is None else unsigned(unit),
        ABSENT if scaler is None else signed(scaler),
        _raw(raw),
        ABSENT,
    )


def _raw(raw: int | bytes | bool | None) -> bytes:
    if raw is None:
        return ABSENT
    if isinstance(raw, bytes):
        return octets(raw)
    if isinstance(raw, bool):
        return b"\x42" + bytes((raw,))
    return signed(raw)


def _integer(kind: int, value: int, with_sign: bool) -> bytes:
    for width in (1, 2, 4, 8):
        try:
            return bytes((kind | width + 1,)) + value.to_bytes(width, "big", signed=with_sign)
        except OverflowError:
            continue
    raise BadInput(f"SML value {value}: does not fit 64 bits")


def _type_length(kind: int, length: int, counted: int) -> bytes:
    """The type and length bytes; `counted` is 1 where their own number belongs to the length."""
    for size in (1, 2, 3, 4):
        total = length + counted * size
        if total < 16**size:
            nibbles = [total >> 4 * place & 15 for place in reversed(range(size))]
            more = [0x80] * (size - 1) + [0]
            return bytes(
                (kind if place == 0 else 0) | more[place] | nibble
                for place, nibble in enumerate(nibbles)
            )
    raise BadInput(f"SML element of {length} bytes or entries: too long for a length field")
