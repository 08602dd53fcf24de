"""Messages of SML: their checksums, and the meter readings of GetList.Response.

Knows the bytes between start and end of a telegram, not the transport around them. Other
messages than GetList.Response are checked and passed over. Source: SML 1.05 (BSI TR-03109-1
annex IV), chapter 5.
"""

from dicamm.proto.crc import crc16_kermit, crc16_x25
from dicamm.proto.sml_elements import BARE, LIST, OCTETS, Elements, MalformedError
from dicamm.proto.sml_quirks import correct

_GET_LIST_RESPONSE = 0x0701


class SmlFrame:
    """What one telegram says.

    offset, length: its bytes in the stream. crc: "x25", "kermit", or None where there was no
    transport. server_id: bytes or None. sensor_time: as SmlEntry.val_time. entries: list of
    SmlEntry. quirks: names of deviations from the standard. messages: how many were read.
    refused: how many were not, for their checksum or structure.
    """

    def __init__(self, offset, length, crc):
        self.offset = offset
        self.length = length
        self.crc = crc
        self.server_id = None
        self.sensor_time = None
        self.entries = []
        self.quirks = []
        self.messages = 0
        self.refused = 0

    def entry(self, obis):
        """The first entry of that OBIS code (6 bytes), or None."""
        for entry in self.entries:
            if entry.obis == obis:
                return entry
        return None

    def note(self, quirk):
        """Names a quirk, once."""
        if quirk not in self.quirks:
            self.quirks.append(quirk)


class SmlEntry:
    """One entry of a value list: value = raw * 10**scaler in unit (DLMS code, None: not sent).

    obis: 6 bytes. raw: int, bool, bytes (octet string), (choice, number) for a time, or None;
    corrected where the meter is known to send it wrong, `raw_sent` is as sent. width: bytes
    of the value as sent. status: int or None. val_time: None or (choice, number) with choice
    1 seconds index, 2 Unix timestamp, 0 sent without choice; (3, (Unix timestamp, offset to
    UTC, offset of the season, both minutes)) for local time.
    """

    def __init__(self, obis):
        self.obis = obis
        self.status = None
        self.val_time = None
        self.unit = None
        self.scaler = 0
        self.raw = None
        self.raw_sent = None
        self.width = 0
        self.quirks = []


def read_messages(buffer, start, end, frame, discard):
    """Reads the messages in buffer[start:end] into `frame`.

    discard: called with the reason for every message refused. Total: what cannot be read
    ends in a reason. Returns nothing.
    """
    pos = start
    while pos < end:
        if buffer[pos]:
            pos = _read_message(buffer, pos, end, frame, discard)
        else:
            pos += 1  # a fill byte the transport did not count
    correct(frame.entries, frame.server_id)


def _read_message(buffer, start, end, frame, discard):
    elements = Elements(buffer, start, end)
    try:
        elements.enter(6)
        for _ in range(3):  # transactionId, groupNo, abortOnError
            elements.skip()
        body = elements.pos
        elements.skip()
        body_end = elements.pos
        stored = elements.number()
        width = elements.size
        elements.end_of_message()
    except MalformedError:
        frame.refused += 1
        discard("structure")
        return end  # where the next message begins is not known
    if not _checksum_good(buffer, start, body_end, stored, width, frame):
        frame.refused += 1
        discard("message crc")
        return elements.pos
    try:
        _read_body(Elements(buffer, body, body_end), frame, discard)
        frame.messages += 1
    except MalformedError:
        frame.refused += 1
        discard("content")
    return elements.pos


def _checksum_good(buffer, start, end, stored, width, frame):
    """Checks buffer[start:end] against `stored`, the two bytes read as a number.

    X-25 is sent low byte first, Kermit (seen on Holley DTZ541) high byte first. 0x00nn may
    come as one byte nn (seen on ISKRA MT691).
    """
    if stored is None or width > 2:
        return False
    if _swapped(crc16_x25(buffer, start, end)) != stored:
        if crc16_kermit(buffer, start, end) != stored:
            return False
        frame.note("message_crc_kermit")
    if width == 1:
        frame.note("message_crc_one_byte")
    return True


def _swapped(crc):
    return (crc & 0xFF) << 8 | crc >> 8


def _read_body(elements, frame, discard):
    elements.enter(2)
    if elements.number() != _GET_LIST_RESPONSE:
        return
    elements.enter(7)
    elements.skip()  # clientId
    server_id = elements.octets()
    elements.skip()  # listName
    sensor_time = elements.time()
    entries = _read_entries(elements, discard)
    elements.skip()  # listSignature
    elements.skip()  # actGatewayTime
    frame.entries.extend(entries)
    if frame.server_id is None:
        frame.server_id = server_id
        frame.sensor_time = sensor_time
    if sensor_time is not None and sensor_time[0] == BARE:
        frame.note("act_sensor_time_without_choice")


def _read_entries(elements, discard):
    kind = elements.head()
    if kind == OCTETS and elements.size == 0:
        return []  # an absent list
    if kind != LIST:
        raise MalformedError
    entries = []
    for _ in range(elements.size):
        entry = _read_entry(elements)
        if entry.obis is None or len(entry.obis) != 6:
            discard("object name")
        else:
            entries.append(entry)
    return entries


def _read_entry(elements):
    elements.enter(7)
    entry = SmlEntry(elements.octets())
    entry.status = elements.number()
    entry.val_time = elements.time()
    entry.unit = elements.number()
    entry.scaler = _scaler(elements.number())
    entry.raw = entry.raw_sent = elements.value()
    entry.width = elements.size if isinstance(entry.raw, (int, bytes)) else 0
    elements.skip()  # valueSignature
    if entry.val_time is not None and entry.val_time[0] == BARE:
        entry.quirks.append("val_time_without_choice")
    return entry


def _scaler(number):
    if number is None:
        return 0
    if not -128 <= number <= 127:
        raise MalformedError
    return number
