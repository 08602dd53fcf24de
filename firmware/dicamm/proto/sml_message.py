"""Messages of SML in any form: their checksums, and the meter readings of GetList.Response.

Knows the bytes between start and end of a telegram, not the transport around them. Other
messages that meters send are read by `sml_bodies`. Source: SML 1.05 (BSI TR-03109-1 annex IV),
chapter 5.
"""

from dicamm.proto.crc import crc16_kermit, crc16_x25
from dicamm.proto.sml_elements import ABSENT, LIST, OCTETS, Elements, MalformedError, skip
from dicamm.proto.sml_entry import (
    BARE,
    MESSAGE_CRC_KERMIT,
    MESSAGE_CRC_ONE_BYTE,
    SENSOR_TIME_WITHOUT_CHOICE,
    VAL_TIME_WITHOUT_CHOICE,
    SmlEntry,
)
from dicamm.proto.sml_quirks import correct, suspects

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


# of sml_state
_OPEN = const(21)
_CLOSE = const(22)

_OPEN_RESPONSE = 0x0101
_CLOSE_RESPONSE = 0x0201
_GET_LIST_RESPONSE = 0x0701
# the beginnings of their bodies as nearly all meters send them
_COMMON_LIST = b"\x72\x63\x07\x01"
_COMMON_PLACES = {b"\x72\x63\x01\x01": _OPEN, b"\x72\x63\x02\x01": _CLOSE}


def read_messages(data, frame, refuse):
    """Reads all messages in `data` (bytes) into `frame` (SmlFrame).

    refuse: called with the reason for every message refused. Total: what cannot be read
    ends in a reason. Returns nothing.
    """
    places = {_OPEN: 0, _CLOSE: 0}
    frame.share(data, places)
    pos = 0
    while pos < len(data):
        if data[pos]:
            pos = _read_message(data, pos, frame, places, refuse)
        else:
            pos += 1  # a fill byte the transport did not count
    correct(frame.entries, suspects(frame.entries, frame.server_id))


def _read_message(data, start, frame, places, refuse):
    try:
        body = _find_body(data, start)
        end = _read_common(data, start, body, frame, places)
        if end:
            return end
        body_end = skip(data, body, 1)
        elements = Elements(data, body_end, len(data))
        stored = elements.number()
        width = elements.size
        elements.end_of_message()
    except (MalformedError, IndexError):
        frame.refused += 1
        refuse("structure")
        return len(data)  # where the next message begins is not known
    if not _checksum_good(data, start, body_end, stored, width, frame):
        frame.refused += 1
        refuse("message crc")
        return elements.pos
    try:
        _read_body(Elements(data, body, body_end), frame, places, refuse)
        frame.messages += 1
    except (MalformedError, IndexError):
        frame.refused += 1
        refuse("content")
    return elements.pos


def _find_body(data, start):
    pos = start + 1
    if data[start] != 0x76:
        elements = Elements(data, start, len(data))
        elements.enter(6)
        pos = elements.pos
    return skip(data, pos, 3)  # transactionId, groupNo, abortOnError


def _checksum_good(data, start, end, stored, width, frame):
    """Checks data[start:end] against `stored`, the two bytes read as a number.

    X-25 is sent low byte first, Kermit (seen on Holley DTZ541) high byte first. 0x00nn may
    come as one byte nn (seen on ISKRA MT691).
    """
    if stored is None or width > 2:
        return False
    crc = crc16_x25(data, start, end)
    if (crc & 0xFF) << 8 | crc >> 8 != stored:
        if crc16_kermit(data, start, end) != stored:
            return False
        frame.note(MESSAGE_CRC_KERMIT)
    if width == 1:
        frame.note(MESSAGE_CRC_ONE_BYTE)
    return True


def _read_body(elements, frame, places, refuse):
    elements.enter(2)
    tag = elements.number()
    if tag == _GET_LIST_RESPONSE:
        _read_list(elements, frame, refuse)
    elif tag == _OPEN_RESPONSE:
        places[_OPEN] = elements.pos
    elif tag == _CLOSE_RESPONSE:
        places[_CLOSE] = elements.pos
    else:
        from dicamm.proto.sml_bodies import read_body

        frame.bodies += (read_body(tag, elements),)


def _read_common(data, start, body, frame, places):
    """Reads the message at `start` on the short way; its body begins at `body`.

    Returns the end of the message, 0 where it is not of the common form or its checksum not two
    bytes of a good CRC-16/X-25; `frame` is then as before.
    """
    choice = data[body : body + 4]
    try:
        if choice == _COMMON_LIST:
            return _read_common_list(data, start, body + 4, frame)
        if choice not in _COMMON_PLACES:
            return 0
        end = skip(data, body, 1)
        if not _common_checksum_good(data, start, end):
            return 0
    except (MalformedError, IndexError):
        return 0
    places[_COMMON_PLACES[choice]] = body + 4
    frame.messages += 1
    return end + 4


def _common_checksum_good(data, start, end):
    if data[end] != 0x63 or data[end + 3]:
        return False
    crc = crc16_x25(data, start, end)
    return crc & 0xFF == data[end + 1] and crc >> 8 == data[end + 2]


def _read_common_list(data, start, at, frame):
    """As _read_common, for the value list whose fields begin at data[at:]."""
    if data[at] != 0x77:
        return 0
    server_at = skip(data, at + 1, 1)  # behind clientId
    name_at = server_at + data[server_at]
    pos = name_at + data[name_at]
    sensor_time = None
    if data[pos] == ABSENT:
        pos += 1
    elif data[pos : pos + 2] == b"\x72\x62" and data[pos + 2] and data[pos + 3] == 0x65:
        sensor_time = (data[pos + 2], int.from_bytes(data[pos + 4 : pos + 8], "big"))
        pos += 8
    else:
        return 0
    count = data[pos] - 0x70
    if not (0 < data[server_at] < 16 and 0 < data[name_at] < 16 and 0 <= count < 16):
        return 0
    pos += 1
    entries = []
    for _ in range(count):
        entry, pos = read_entry(data, pos)
        if entry.obis is None or len(entry.obis) != 6:
            return 0
        entries.append(entry)
    if data[pos] != ABSENT or data[pos + 1] != ABSENT:  # listSignature, actGatewayTime
        return 0
    if not _common_checksum_good(data, start, pos + 2):
        return 0
    server_id = data[server_at + 1 : name_at] or None
    list_name = data[name_at + 1 : name_at + data[name_at]] or None
    _add_list(frame, server_id, list_name, sensor_time, entries)
    frame.messages += 1
    return pos + 6


def _add_list(frame, server_id, list_name, sensor_time, entries, signature=None, time=None):
    frame.entries += entries
    if frame.server_id is None:
        frame.server_id = server_id
        frame.list_name = list_name
        frame.sensor_time = sensor_time
        frame.signature = signature
        frame.gateway_time = time
    if sensor_time is not None and sensor_time[0] == BARE:
        frame.note(SENSOR_TIME_WITHOUT_CHOICE)


def _read_list(elements, frame, refuse):
    if elements.head() != LIST or elements.size < 5:
        raise MalformedError
    count = elements.size - 5  # 2 by the standard
    elements.skip()  # clientId
    start = elements.pos
    try:
        server_id = elements.octets()
        list_name = elements.octets_if_any()
        sensor_time = elements.time()
    except MalformedError:
        from dicamm.proto import sml_odd

        elements.pos = start
        server_id, list_name, sensor_time, odd = sml_odd.read_odd_head(elements)
        if odd:
            frame.note(sml_odd.SENSOR_TIME)
    entries = _read_entries(elements, refuse)
    signature = elements.octets_if_any() if count > 0 else None
    time = elements.time_if_any() if count > 1 else None
    if count != 2:
        from dicamm.proto.sml_odd import LIST_LENGTH

        frame.note(LIST_LENGTH)
    _add_list(frame, server_id, list_name, sensor_time, entries, signature, time)


def _read_entries(elements, refuse):
    kind = elements.head()
    if kind == OCTETS and elements.size == 0:
        return []  # an absent list
    if kind != LIST:
        raise MalformedError
    data, pos = elements.buffer, elements.pos
    entries = []
    for _ in range(elements.size):
        entry, pos = read_entry(data, pos)
        if entry.obis is None or len(entry.obis) != 6:
            refuse("object name")
        else:
            entries.append(entry)
    elements.pos = pos
    return entries


def read_entry(data, at):
    """(SmlEntry, index behind it) of the list entry at data[at:], data: bytes.

    Raises MalformedError or IndexError. The common form is read here, any other one element by
    element. obis may be None (no entry at all) or of other length.
    """
    if data[at] != 0x77 or data[at + 1] != 7:
        return _read_elements(data, at)
    pos = at + 8
    status = val_time = unit = None
    byte = data[pos]
    if byte == ABSENT:
        pos += 1
    elif 0x61 < byte < 0x6A:
        end = pos + (byte & 15)
        status = int.from_bytes(data[pos + 1 : end], "big")
        pos = end
    else:
        return _read_elements(data, at)
    byte = data[pos]
    if byte == ABSENT:
        pos += 1
    elif byte == 0x72 and data[pos + 1] == 0x62 and 0x61 < data[pos + 3] < 0x6A and data[pos + 2]:
        end = pos + 3 + (data[pos + 3] & 15)
        val_time = (data[pos + 2], int.from_bytes(data[pos + 4 : end], "big"))
        pos = end
    else:
        return _read_elements(data, at)
    byte = data[pos]
    if byte == 0x62:
        unit = data[pos + 1]
        pos += 2
    elif byte == ABSENT:
        pos += 1
    else:
        return _read_elements(data, at)
    scaler = None
    byte = data[pos]
    if byte == 0x52:
        scaler = data[pos + 1]
        if scaler > 0x7F:
            scaler -= 0x100
        pos += 2
    elif byte == ABSENT:
        pos += 1
    else:
        return _read_elements(data, at)
    byte = data[pos]
    size = (byte & 15) - 1
    end = pos + size + 1
    if data[end] != ABSENT:  # valueSignature
        return _read_elements(data, at)
    if 0x51 < byte < 0x5A or 0x61 < byte < 0x6A:
        raw = int.from_bytes(data[pos + 1 : end], "big")
        if byte < 0x60 and data[pos + 1] > 0x7F:
            raw -= 1 << 8 * size
    elif byte < 0x10:
        raw = data[pos + 1 : end] or None
    else:
        return _read_elements(data, at)
    return SmlEntry(data[at + 2 : at + 8], status, val_time, unit, scaler, raw, size), end + 1


def _read_elements(data, at):
    elements = Elements(data, at, len(data))
    entry = SmlEntry()
    try:
        elements.enter(7)
        entry.obis = elements.octets()
    except MalformedError:
        from dicamm.proto.sml_odd import read_odd_entry

        elements.pos = at
        read_odd_entry(entry, elements)
    else:
        read_fields(entry, elements)
    return entry, elements.pos


def read_fields(entry, elements):
    """Reads what stands in a list entry behind its name, in any form, into `entry` (SmlEntry).

    A field of a form that the standard does not know is named in `quirks`. Raises
    MalformedError or IndexError.
    """
    start = elements.pos
    try:
        _read_standard(entry, elements)
    except MalformedError:
        from dicamm.proto.sml_odd import read_odd_fields

        elements.pos = start
        read_odd_fields(entry, elements)


def _read_standard(entry, elements):
    entry.status = elements.number()
    entry.val_time = time = elements.time()
    entry.unit = elements.number()
    entry.scaler = elements.scaler()
    entry.raw = entry.raw_sent = elements.value()
    entry.width = elements.size if isinstance(entry.raw, (int, bool, bytes)) else 0
    entry.signature = elements.octets_if_any()
    entry.quirks = ()
    if time is not None and time[0] == BARE:
        entry.quirks = (VAL_TIME_WITHOUT_CHOICE,)
