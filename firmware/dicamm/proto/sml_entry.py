"""What one SML telegram says: SmlFrame and its SmlEntry.

Knows messages by their places only; they are read by `sml_pool`, `sml_message`, `sml_bodies`.
"""

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


# of sml_state
_OPEN = const(21)
_CLOSE = const(22)

BARE = 0  # choice of a time that was sent without one

# deviations from the standard, as they stand in `quirks`
TRANSPORT_CRC_KERMIT = "transport_crc_kermit"
LITERAL_ESCAPE = "literal_escape"
LENGTH_NOT_MULTIPLE_OF_4 = "frame_length_not_multiple_of_4"
PAYLOAD_WITHOUT_TRANSPORT = "payload_without_transport"
MESSAGE_CRC_KERMIT = "message_crc_kermit"
MESSAGE_CRC_ONE_BYTE = "message_crc_one_byte"
SENSOR_TIME_WITHOUT_CHOICE = "act_sensor_time_without_choice"
VAL_TIME_WITHOUT_CHOICE = "val_time_without_choice"


class SmlFrame:
    """What one telegram says.

    offset, length: its bytes in the stream. crc: "x25", "kermit", or None where there was no
    transport. server_id, list_name: bytes or None. sensor_time, gateway_time: as
    SmlEntry.val_time. entries: list of SmlEntry. signature: of the list, bytes or None. quirks:
    names of deviations from the standard. messages: how many were read. refused: how many were
    not, for their checksum or structure. bodies: SmlBody of every other message but open and
    close.
    """

    def __init__(self, offset, length, crc):
        self.offset = offset
        self.length = length
        self.crc = crc
        self.server_id = None
        self.list_name = None
        self.sensor_time = None
        self.gateway_time = None
        self.signature = None
        self.entries = []
        self.quirks = ()
        self.messages = 0
        self.refused = 0
        self.bodies = ()
        self._data = b""
        self._places = {_OPEN: 0, _CLOSE: 0}

    def entry(self, obis):
        """The first entry of that OBIS code (6 bytes), or None."""
        for entry in self.entries:
            if entry.obis == obis:
                return entry
        return None

    def note(self, quirk):
        """Names a quirk, once."""
        if quirk not in self.quirks:
            self.quirks += (quirk,)

    def opened(self):
        """The open message as SmlBody, or None where there is none that can be read."""
        return self._body(0x0101, _OPEN)

    def closed(self):
        """The close message as SmlBody, or None where there is none that can be read."""
        return self._body(0x0201, _CLOSE)

    def copy(self):
        """The same in objects of its own, which last."""
        other = SmlFrame(self.offset, self.length, self.crc)
        other.server_id = self.server_id
        other.list_name = self.list_name
        other.sensor_time = self.sensor_time
        other.gateway_time = self.gateway_time
        other.signature = self.signature
        other.entries = [entry.copy() for entry in self.entries]
        other.quirks = self.quirks
        other.messages = self.messages
        other.refused = self.refused
        other.bodies = self.bodies
        other._data = bytes(self._data[: self.length])
        other._places = {place: self._places[place] for place in (_OPEN, _CLOSE)}
        return other

    def share(self, data, places):
        """Messages are read out of `data`, where `places` says: what OPEN and CLOSE index."""
        self._data = data
        self._places = places

    def _body(self, tag, place):
        at = self._places[place]
        if not at:
            return None
        from dicamm.proto.sml_bodies import body_at

        return body_at(tag, self._data, at)


class SmlEntry:
    """One entry of a value list: value = raw * 10**scaler in unit (a DLMS code).

    scaler, unit: None where they were not sent; without a scaler, raw is the value.
    obis: 6 bytes. raw: int, bool, bytes (octet string), (choice, number) for a time, or None;
    corrected where the meter is known to send it wrong, `raw_sent` is as sent. width: bytes
    of the value as sent. status: int or None. val_time: None or (choice, number) with choice
    1 seconds index, 2 Unix timestamp, 0 sent without choice; (3, (Unix timestamp, offset to
    UTC, offset of the season, both minutes)) for local time. signature: bytes or None. quirks:
    names of deviations.
    """

    def __init__(
        self,
        obis=None,
        status=None,
        val_time=None,
        unit=None,
        scaler=None,
        raw=None,
        width=0,
        signature=None,
        quirks=(),
    ):
        self.obis = obis
        self.status = status
        self.val_time = val_time
        self.unit = unit
        self.scaler = scaler
        self.raw = raw
        self.raw_sent = raw
        self.width = width
        self.signature = signature
        self.quirks = quirks

    def copy(self):
        """The same in an object of its own."""
        other = SmlEntry(
            self.obis,
            self.status,
            self.val_time,
            self.unit,
            self.scaler,
            self.raw,
            self.width,
            self.signature,
            self.quirks,
        )
        other.raw_sent = self.raw_sent
        return other
