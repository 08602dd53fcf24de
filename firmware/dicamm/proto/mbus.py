"""Telegrams of M-Bus meters: the header before the records (EN 13757-3, chapters 5 to 7).

Knows the bytes from the CI field on, as a link frame carries them (`mbus_frame`, `wmbus`), and
hands the records to `mbus_records`.
"""

from dicamm.proto import mbus_values
from dicamm.proto.mbus_records import MbusRecords

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


# CI fields of a meter's answer
CI_ERROR = const(0x70)
CI_ALARM = const(0x71)
CI_LONG = const(0x72)
CI_FIXED = const(0x73)
CI_NO_HEADER = const(0x78)
CI_SHORT = const(0x7A)

# what a telegram is
RECORDS = const(1)
FIXED = const(2)  # the structure with two counters, no longer built
APPLICATION_ERROR = const(3)
ALARM = const(4)

_LONG_SIZE = const(12)
_SHORT_SIZE = const(4)
_FIXED_SIZE = const(16)
_HEADERS = {
    CI_LONG: (RECORDS, _LONG_SIZE),
    CI_SHORT: (RECORDS, _SHORT_SIZE),
    CI_NO_HEADER: (RECORDS, 0),
    CI_FIXED: (FIXED, _FIXED_SIZE),
    CI_ERROR: (APPLICATION_ERROR, 0),
    0x6E: (APPLICATION_ERROR, _SHORT_SIZE),
    0x6F: (APPLICATION_ERROR, _LONG_SIZE),
    CI_ALARM: (ALARM, 0),
    0x74: (ALARM, _SHORT_SIZE),
    0x75: (ALARM, _LONG_SIZE),
}
_UNKNOWN = (None, 0)


class MbusTelegram:
    """What stands before the records.

    kind: see above. identification: four bytes, BCD digits least significant first, or None;
    manufacturer: number, version, medium; access, status, signature
    (of newer meters: the configuration field); each None where the header has none. body:
    place of the records in `data`. code: of an application error or alarm, None: not sent.
    error: why this is no reading ("ci", "header"), else None.
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
        self.kind, size = _HEADERS.get(data[0], _UNKNOWN) if data else _UNKNOWN
        if self.kind is None:
            self.error = "ci"
        elif len(data) < 1 + size or self.kind == FIXED and len(data) != 1 + size:
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

    def counters(self):
        """The two counters of the fixed structure: [(unit code, BCD or integer or None)]."""
        data = self.data
        read = mbus_values.integer if data[6] & 1 else mbus_values.bcd
        return [(data[7 + place] & 0x3F, read(data, 9 + 4 * place, 4)) for place in (0, 1)]

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
