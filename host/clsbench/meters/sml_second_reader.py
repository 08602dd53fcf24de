"""A second reader of SML telegrams, to check with: works on whole captures, by recursion.

Built apart from the device's reader and shares nothing with it: own framing, own checksum
(binascii's CCITT over mirrored bits), a tree of the whole message before anything is taken
out of it. Integers only. For judging results, not for the way of a reading.
"""

import binascii
import re
from typing import Any

_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_START = b"\x1b\x1b\x1b\x1b\x01\x01\x01\x01"
# up to the first escape that is not a doubled one: data, then what follows the escape
_BODY = re.compile(rb"((?:(?!\x1b{4}).|\x1b{8})*)\x1b{4}(.{4})", re.DOTALL)
_MAX_DEPTH = 16
_POWER = "0100100700ff"
_DEVICE_ID = "0100600100ff"


class _Unreadable(Exception):
    """The bytes are no SML at this place."""


def crc16_x25(data: bytes) -> int:
    """CRC-16/X-25 (ISO/IEC 13239 frame check sequence)."""
    return _mirrored(binascii.crc_hqx(data.translate(_MIRROR), 0xFFFF)) ^ 0xFFFF


def crc16_kermit(data: bytes) -> int:
    """CRC-16/KERMIT: the polynomial of X-25, begun with zero, not inverted."""
    return _mirrored(binascii.crc_hqx(data.translate(_MIRROR), 0))


def _mirrored(crc: int) -> int:
    return int(f"{crc:016b}"[::-1], 2)


def frames(capture: bytes) -> list[dict[str, Any]]:
    """Every telegram with a good transport checksum in `capture`, in order.

    Each: offset, length, crc ("x25" | "kermit"), server_id (hex or None), entries: list of
    {obis (hex), raw, raw_sent, scaler, unit, status, val_time}; raw is int, bool, hex text of
    an octet string, [choice, number] for a time, or None. Messages with a bad checksum or
    structure are left out.
    """
    found = []
    position = capture.find(_START)
    while position >= 0:
        frame = _frame_at(capture, position)
        if frame:
            found.append(frame)
        position = capture.find(_START, position + (frame["length"] if frame else 1))
    return found


def files(capture: bytes) -> list[tuple[int, list[tuple[Any, Any]]]]:
    """Every telegram with a good checksum in `capture`: (end, [(tag, body) of each message]).

    A body is a tree of lists, numbers, bytes, booleans and None. Messages with a bad checksum or
    structure are left out.
    """
    found = []
    position = capture.find(_START)
    while position >= 0:
        cut = _cut_at(capture, position)
        if cut:
            found.append((position + cut[0], _messages(cut[2])))
        position = capture.find(_START, position + (cut[0] if cut else 1))
    return found


def payload_frame(payload: bytes) -> dict[str, Any]:
    """The same for messages without transport: offset 0, crc None."""
    return {"offset": 0, "length": len(payload), "crc": None, **_content(payload)}


def _frame_at(capture: bytes, start: int) -> dict[str, Any] | None:
    cut = _cut_at(capture, start)
    if cut is None:
        return None
    length, crc, payload = cut
    return {"offset": start, "length": length, "crc": crc, **_content(payload)}


def _cut_at(capture: bytes, start: int) -> tuple[int, str, bytes] | None:
    """(length, checksum, messages) of the telegram at `start`."""
    body = _BODY.match(capture, start + 8)
    if body is None or body[2][0] != 0x1A or body[2][1] > 3:
        return None
    covered = capture[start : body.end() - 2]
    crc = _transport_crc(covered, body[2][2:])
    if crc is None:
        return None
    payload = body[1][: len(body[1]) - body[2][1]].replace(_START[:4] * 2, _START[:4])
    return body.end() - start, crc, payload


def _transport_crc(covered: bytes, stored: bytes) -> str | None:
    if crc16_x25(covered).to_bytes(2, "little") == stored:
        return "x25"
    return "kermit" if crc16_kermit(covered).to_bytes(2, "big") == stored else None


def _content(payload: bytes) -> dict[str, Any]:
    lists = [body for tag, body in _messages(payload) if tag == 0x0701 and _is_list(body, 7)]
    entries: list[dict[str, Any]] = []
    for body in lists:
        items = body[4] if isinstance(body[4], list) else []
        entries += [_entry(item) for item in items if _is_list(item, 7)]
    server = lists[0][1] if lists and isinstance(lists[0][1], bytes) else None
    _undo_short_power(entries, server)
    return {"server_id": server.hex() if server else None, "entries": entries}


def _is_list(value: Any, size: int) -> bool:
    return isinstance(value, list) and len(value) == size


def _messages(payload: bytes) -> list[tuple[Any, Any]]:
    """(tag, body) of every message whose checksum is good."""
    bodies = []
    position = 0
    while position < len(payload):
        if payload[position] == 0:
            position += 1
            continue
        try:
            message, end, checksum_at = _message(payload, position)
        except _Unreadable:
            break
        stored = message[4]
        covered = payload[position:checksum_at]
        swapped = int.from_bytes(crc16_x25(covered).to_bytes(2, "little"), "big")
        if stored in (swapped, crc16_kermit(covered)):
            tag, body = message[3]
            bodies.append((tag, body))
        position = end
    return bodies


def _message(payload: bytes, start: int) -> tuple[list[Any], int, int]:
    """(six elements, end, where the checksum stands) of the message at `start`."""
    if payload[start] != 0x76:
        raise _Unreadable
    position = start + 1
    elements: list[Any] = []
    for _ in range(4):
        value, position = _element(payload, position, 0)
        elements.append(value)
    checksum_at = position
    value, position = _element(payload, position, 0)
    elements.append(value)
    if payload[position : position + 1] != b"\x00" or not _is_list(elements[3], 2):
        raise _Unreadable
    return elements, position + 1, checksum_at


def _element(data: bytes, position: int, depth: int) -> tuple[Any, int]:
    """(value, end): list, int, bool, bytes, or None for an absent (or empty) one."""
    head = re.compile(rb"[\x80-\xff]{0,3}[\x00-\x7f]", re.DOTALL).match(data, position)
    if head is None or depth > _MAX_DEPTH:
        raise _Unreadable
    size = 0
    for byte in head[0]:
        size = size * 16 + byte % 16
    kind = head[0][0] // 16 % 8
    if kind == 7:
        return _items(data, head.end(), size, depth)
    end = position + size
    if size < len(head[0]) or end > len(data):
        raise _Unreadable
    return _plain(kind, data[head.end() : end]), end


def _items(data: bytes, position: int, count: int, depth: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(count):
        item, position = _element(data, position, depth + 1)
        items.append(item)
    return items, position


def _plain(kind: int, value: bytes) -> Any:
    if kind == 0:
        return value or None
    if not value or kind not in (4, 5, 6):
        raise _Unreadable
    return value != b"\x00" if kind == 4 else _Integer(kind, value)


class _Integer(int):
    """An integer that remembers how many bytes it came in."""

    width: int

    def __new__(cls, kind: int, value: bytes) -> "_Integer":
        number = super().__new__(cls, int.from_bytes(value, "big", signed=kind == 5))
        number.width = len(value)
        return number


def _entry(item: list[Any]) -> dict[str, Any]:
    name, status, val_time, unit, scaler, value = item[:6]
    raw = value.hex() if isinstance(value, bytes) else value
    if isinstance(value, list):
        raw = _time(value[1]) if _is_list(value, 2) and value[0] == 1 else None
    return {
        "obis": name.hex() if isinstance(name, bytes) else None,
        "raw": raw,
        "raw_sent": raw,
        "scaler": scaler or 0,
        "unit": unit,
        "status": status,
        "val_time": _time(val_time),
    }


def _time(value: Any) -> Any:
    """[choice, number or list of three], ["bare", number] where the choice is missing."""
    return ["bare", value] if isinstance(value, int) else value


def _undo_short_power(entries: list[dict[str, Any]], server: bytes | None) -> None:
    """DZG DVS74 of two ranges of serials: positive power of up to 3 bytes carries a sign."""
    told = [item["raw"] for item in entries if item["obis"] == _DEVICE_ID]
    device = told[0] if told and isinstance(told[0], str) else (server or b"").hex()
    if re.fullmatch(r"0a01445a4700[0-9a-f]{8}", device) is None:
        return
    serial = int(device[-8:], 16)
    if serial // 1_000_000 not in (*range(42, 49), *range(55, 59)):
        return
    for item in entries:
        raw = item["raw"]
        if item["obis"] == _POWER and isinstance(raw, _Integer) and raw < 0 and raw.width < 4:
            item["raw"] = raw + 256**raw.width
