"""Compact frames: data without its DIFs and VIFs, which an earlier full frame told.

Knows the formats below, those learned, and how they are told apart: by the checksum over their
DIFs and VIFs (EN 13757-3:2013, chapter 7). Source of the formats: frames of Kamstrup water
meters, as published with their drivers.
"""

from dicamm.proto.mbus_codes import RAW
from dicamm.proto.mbus_records import MbusRecords
from dicamm.proto.wmbus_link import crc16

UNKNOWN_FORMAT = "format"
MAX_FORMATS = 16

# CI field of a compact frame: that of the full one, bytes of its header
CI_FIELDS = {0x79: (0x78, 0), 0x7B: (0x7A, 4), 0x73: (0x72, 12)}

KNOWN = (
    b"\x02\xff\x20\x04\x13\x44\x13\x61\x5b\x61\x67",
    b"\x02\xff\x20\x04\x13\x44\x13\x61\x5b\x51\x67",
    b"\x02\xff\x20\x04\x13\x92\x01\x3b\xa1\x01\x5b\x81\x01\xe7\xff\x0f",
    b"\x02\xff\x20\x04\x13\x44\x13\xa1\x01\x5b\x81\x01\xe7\xff\x0f",
)


class CompactFormats:
    """The formats of KNOWN, and up to MAX_FORMATS that full frames told, latest last."""

    def __init__(self):
        self._learned = []

    def learn(self, telegram):
        """Keeps the format of a full frame's records (mbus.MbusTelegram)."""
        records = telegram.records()
        form = b""
        while records.next():
            if records.kind >= RAW:
                return
            form += bytes(records.buffer[records.at : records.data])
        if records.error or form in KNOWN or form in self._learned:
            return
        if len(self._learned) == MAX_FORMATS:
            self._learned.pop(0)
        self._learned.append(form)

    def expand(self, data):
        """The full frame for a compact one, from the CI field on; None: format not known.

        None also where the checksum over the full frame is another.
        """
        ci, header = CI_FIELDS[data[0]]
        at = 1 + header
        if len(data) < at + 4:
            return None
        signature = data[at] | data[at + 1] << 8
        checksum = data[at + 2] | data[at + 3] << 8
        for forms in (KNOWN, self._learned):
            for form in forms:
                if crc16(form, 0, len(form)) == signature:
                    full = _fill(form, data, at + 4)
                    if full is not None and crc16(full, 0, len(full)) == checksum:
                        return bytes((ci,)) + bytes(data[1:at]) + full
        return None


def _fill(form, data, at):
    """The records with data[at:] behind their heads; None where that does not come out even."""
    full = b""
    while form:
        head = _head(form)
        record = form[:head] + bytes(data[at:])
        records = MbusRecords(record, 0, len(record))
        if not head or not records.next():
            return None
        full += record[: records.end]
        at += records.end - head
        form = form[head:]
    return full if at == len(data) else None


def _head(form):
    """Bytes of the first DIB and VIB in `form`; 0 where there is none."""
    records = MbusRecords(form + bytes(16), 0, len(form) + 16)  # any data will do
    return records.data if records.next() and records.data <= len(form) else 0
