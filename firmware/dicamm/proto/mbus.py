"""Telegrams of M-Bus meters: the header before the records (EN 13757-3, chapters 5 to 7).

Knows the bytes from the CI field on, as a link frame carries them (`mbus_frame`, `wmbus`), and
hands the records to `mbus_records`.
"""

from dicamm.proto.mbus_records import MbusRecords

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


# what a telegram is
RECORDS = const(1)
FIXED = const(2)  # the structure with two counters, no longer built
APPLICATION_ERROR = const(3)
ALARM = const(4)

_LONG_SIZE = const(12)
# CI fields of a meter's answer, what they announce, and bytes of the header behind them
_CI = b"\x72\x7a\x78\x70\x6e\x6f\x71\x74\x75\x73"
_KINDS = b"\x01\x01\x01\x03\x03\x03\x04\x04\x04\x02"
_SIZES = b"\x0c\x04\x00\x00\x04\x0c\x00\x04\x0c\x10"


class MbusTelegram:
    """What stands before the records.

    kind: see above. identification: four bytes, BCD digits least significant first, or None;
    manufacturer: number, version, medium; access, status, signature
    (of newer meters: the configuration field); each None where the header has none. body:
    place of the records in `data`. code: of an application error or alarm, None: not sent.
    error: why this is no reading ("ci", "mode 2", "header"), else None.
    """

    def __init__(self, data=b""):
        self._records = MbusRecords()
        self.read(data)

    def read(self, data):
        """Reads another telegram into the same object."""
        self.data = data
        self.ci = data[0] if data else None
        self.identification = self.manufacturer = self.version = self.medium = None
        self.access = self.status = self.signature = None
        self.code = self.error = None
        self.body = len(data)
        self.kind = None
        at = _CI.find(data[:1]) if data else -1
        if at < 0:
            self.error = "mode 2" if data and data[0] in b"\x76\x77" else "ci"
            return
        size = _SIZES[at]
        self.kind = _KINDS[at]
        if len(data) < 1 + size or self.kind == FIXED and len(data) != 1 + size:
            self.error = "header"
        elif self.kind == FIXED:
            self.identification = bytes(data[1:5])
            self.access = data[5]
            self.status = data[6]
            self.medium = data[7] >> 6 | data[8] >> 6 << 2
        else:
            if size:
                self._read_header(size)
            self.body = 1 + size
            if self.kind != RECORDS and len(data) > self.body:
                self.code = data[self.body]

    def records(self):
        """The cursor over the records, at their begin; there is one for each telegram object."""
        self._records.begin(self.data, self.body, len(self.data))
        return self._records

    def _read_header(self, size):
        data = self.data
        at = 1
        if size == _LONG_SIZE:
            self.identification = bytes(data[1:5])
            self.manufacturer = data[5] | data[6] << 8
            self.version = data[7]
            self.medium = data[8]
            at = 9
        self.access = data[at]
        self.status = data[at + 1]
        self.signature = data[at + 2] | data[at + 3] << 8
