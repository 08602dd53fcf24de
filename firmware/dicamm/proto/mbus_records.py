"""Data records of M-Bus: one after the other, in place (EN 13757-3, chapter 6).

Knows the bytes behind the header of a telegram: what each record measures and where its value
stands. Nothing is copied and no record is kept: one cursor walks over all of them.
"""

from dicamm.proto import mbus_values as values
from dicamm.proto.mbus_vif import (
    DATE,
    DATE_TIME,
    EXTENSION_FB,
    EXTENSION_FD,
    MAIN,
    MANUFACTURER,
    NO_UNIT,
    POINT,
    RESERVED,
    SECOND_FD,
    TEXT,
    UNKNOWN,
)

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


MAX_EXTENSIONS = const(10)  # DIFEs, and VIFEs, of one record

# kinds of a value
NOTHING = const(0)
INTEGER = const(1)
REAL = const(2)
BCD = const(3)
NEGATIVE_BCD = const(4)  # the sign stands in the length byte
CHARACTERS = const(5)
BINARY = const(6)  # a number too long to count with, or bits
TIME_POINT = const(7)
RAW = const(8)  # the maker's own bytes, to the end of the telegram
MORE = const(9)  # as RAW, and a further telegram follows
UNREADABLE = const(10)  # a DIF that no rule tells the length of: the rest of the telegram

ERROR_STATE = const(3)  # function: 0 instantaneous, 1 maximum, 2 minimum, 3 while in error

_FILLER = const(0x2F)
_REAL32 = const(5)
_LVAR = const(13)
_SPECIAL = const(15)
_TEXT_VIF = const(0x7C)
# by data field: bytes (15: told by the data), kind
_SIZES = b"\x00\x01\x02\x03\x04\x04\x06\x08\x00\x01\x02\x03\x04\x0f\x06\x00"
_KINDS = bytes((0, 1, 1, 1, 1, 2, 1, 1, 0, 3, 3, 3, 3, 5, 3, 8))
_DATE_SIZES = b"\x02\x03\x04\x06"
# VIFEs that make the value a point in time: start, and limits passed (E100uf1b, E1101f1b)
_DATE_VIFES = b"\x39\x42\x43\x46\x47\x4a\x4b\x4e\x4f\x6a\x6b\x6e\x6f"


class MbusRecords:
    """Cursor over the records in buffer[start:end].

    After next() returned True the attributes tell of one record: at, vib, data, end: where
    its DIF, VIF, data (of a variable length: its length byte) and successor begin; function,
    storage, tariff, device: numbers; extended: tariff and device were sent; kind; quantity
    and unit: codes of mbus_vif; scaler: value = raw() * 10**scaler in unit.
    error: why the walk ended before the end of the bytes ("dif", "dife", "vif", "vife",
    "text", "length", "data"), else None. A telegram with an error is no reading at all.
    padded: set by whoever took an encryption off: fillers behind the maker's data belong to
    the cipher's blocks, not to the data.
    """

    def __init__(self, buffer=b"", start=0, end=0):
        self.function = self.storage = self.tariff = self.device = 0
        self.extended = False
        self.kind = NOTHING
        self.quantity = RESERVED
        self.unit = UNKNOWN
        self.scaler = 0
        self.size = 0
        self._vifes = self._offset = 0
        self._number = None
        self.begin(buffer, start, end)

    def begin(self, buffer, start, end):
        """Walks over other bytes from here on."""
        self.buffer = buffer
        self._limit = end
        self.error = None
        self.padded = False
        self.at = self.vib = self.data = self.end = start

    def next(self):
        """Steps to the next record; False behind the last, or where `error` says."""
        buffer = self.buffer
        limit = self._limit
        at = self.end
        dif = _FILLER
        while at < limit:
            dif = buffer[at]
            if dif != _FILLER:
                break
            at += 1
        else:
            self.end = limit
            return False
        self.at = at
        at += 1
        coding = dif & 15
        if coding == _SPECIAL:
            return self._special(dif, at)
        self.function = dif >> 4 & 3
        self.storage = dif >> 6 & 1
        if dif > 0x7F:
            at = self._dife(at)
        elif self.extended:
            self.tariff = self.device = 0
            self.extended = False
        self.vib = at
        if at >= limit or not at:
            return self._fail("vif" if at else "dife")
        vif = buffer[at]
        at += 1
        self._offset = 0
        if vif < 0x7C:
            table = MAIN
            vif *= 3
            self.quantity = table[vif]
            unit = self.unit = table[vif + 1]
            self.scaler = table[vif + 2] - 64
        else:
            at = self._vib(vif, at)
            if not at:
                return False
            unit = self.unit
        self.data = at
        kind = self.kind = _KINDS[coding]
        size = _SIZES[coding]
        if coding == _LVAR:
            size = self._variable(at)
            if size < 0:
                return self._fail("length" if at < limit else "data")
            at += 1
        self.size = size
        at += size
        self.end = at
        if at > limit:
            return self._fail("data")
        if unit == POINT and kind == INTEGER and size in _DATE_SIZES:
            self._point()
        elif coding == _REAL32:
            self._real()
        return True

    def raw(self):
        """The number sent: an integer, or None where the record holds none or no valid one."""
        kind = self.kind
        size = self.size
        if kind == INTEGER:
            buffer = self.buffer
            place = self.end - 1
            number = buffer[place]
            if number > 0x7F:
                number -= 0x100
            if size == 4:  # the usual one, without a loop
                number = number << 8 | buffer[place - 1]
                number = (number << 8 | buffer[place - 2]) << 8 | buffer[place - 3]
            else:
                while size > 1:
                    size -= 1
                    place -= 1
                    number = number << 8 | buffer[place]
        elif kind == BCD:
            number = values.bcd(self.buffer, self.end - size, size)
        elif kind == REAL:
            return self._number
        elif kind == NEGATIVE_BCD:
            number = values.bcd(self.buffer, self.end - size, size)
            number = None if number is None else -number
        else:
            return None
        if self._offset:
            return None if number is None else 1000 * number + self._offset
        return number

    def rounded(self, scaler):
        """The value as the nearest multiple of 10**scaler, in those, or None.

        None also where the number means "no value", or was read while the meter was in error.
        """
        raw = self.raw()
        if raw is None or self.undefined() or self.function == ERROR_STATE:
            return None
        return values.scaled(raw, self.scaler, scaler)

    def undefined(self):
        """Whether the number sent is the one that stands for "no value"."""
        return self.kind == INTEGER and values.is_undefined(
            self.buffer, self.end - self.size, self.size
        )

    def text(self):
        """CHARACTERS as text; TIME_POINT as mbus_words.date gives it; else None."""
        if self.kind not in (CHARACTERS, TIME_POINT):
            return None
        from dicamm.proto import mbus_words as words  # who wants numbers only has no need of it

        read = words.text if self.kind == CHARACTERS else words.date
        return read(self.buffer, self.end - self.size, self.size)

    def name(self):
        """The quantity's name where the telegram holds it as text, else None."""
        if self.quantity != TEXT:
            return None
        from dicamm.proto import mbus_words as words

        return words.text(self.buffer, self.vib + 2, self.buffer[self.vib + 1])

    def octets(self):
        """The value's bytes as sent (of a variable length: without the length byte)."""
        return bytes(self.buffer[self.end - self.size : self.end])

    def modifiers(self):
        """The VIFEs behind what names the quantity, without their extension bits, as bytes."""
        if self.data - self.vib < 2:
            return b""
        return bytes([byte & 0x7F for byte in self.buffer[self._vifes : self.data]])

    def _fail(self, reason):
        self.error = reason
        self.end = self._limit
        return False

    def _special(self, dif, at):
        """DIFs that end the data, or that no rule is known for: all that follows is theirs."""
        limit = self._limit
        self.function = self.storage = self.tariff = self.device = 0
        self.extended = False
        self.quantity = MANUFACTURER
        self.unit = NO_UNIT
        self.scaler = 0
        if dif == 0x0F:
            self.kind = RAW
        elif dif == 0x1F:
            self.kind = MORE
        elif dif == 0xFF and self._all_set(at):
            self.end = limit
            return False
        else:
            self.kind = UNREADABLE
            self.quantity = RESERVED
        end = limit
        while self.padded and end > at and limit - end < 15 and self.buffer[end - 1] == _FILLER:
            end -= 1
        self.vib = self.data = at
        self.size = end - at
        self.end = end
        return True

    def _all_set(self, at):
        """Whether nothing but FFh follows: erased memory that some meters send as filler."""
        while at < self._limit and self.buffer[at] == 0xFF:
            at += 1
        return at == self._limit

    def _dife(self, at):
        """Reads the DIFEs; the place behind them, 0 where there are too many."""
        buffer = self.buffer
        shift = 0
        tariff = device = 0
        while at < self._limit:
            dife = buffer[at]
            at += 1
            if shift == MAX_EXTENSIONS:
                return 0
            self.storage |= (dife & 15) << (4 * shift + 1)
            tariff |= (dife >> 4 & 3) << 2 * shift
            device |= (dife >> 6 & 1) << shift
            shift += 1
            if dife < 0x80:
                break
        else:
            return self._limit
        self.tariff = tariff
        self.device = device
        self.extended = True
        return at

    def _vib(self, vif, at):
        """Reads what the one-byte VIFs do not cover; the place behind it, 0 after an error."""
        buffer = self.buffer
        limit = self._limit
        table = MAIN
        code = vif & 0x7F
        more = vif & 0x80
        if code == _TEXT_VIF:
            if at >= limit or at + 1 + buffer[at] > limit:
                self._fail("text")
                return 0
            at += 1 + buffer[at]
        elif vif == 0xFD or vif == 0xFB:
            table = EXTENSION_FD if vif == 0xFD else EXTENSION_FB
            while more:
                if at >= limit:
                    self._fail("vife")
                    return 0
                code = buffer[at]
                at += 1
                more = code & 0x80
                if code != 0xFD or table is not EXTENSION_FD:
                    break
                table = SECOND_FD
        code = 3 * (code & 0x7F)
        if code >= len(table):
            table = SECOND_FD
            code = 3  # a reserved code
        self.quantity = table[code]
        self.unit = table[code + 1]
        self.scaler = table[code + 2] - 64
        self._vifes = at
        return self._modified(at) if more else at

    def _modified(self, at):
        """Reads the VIFEs that change the value; the place behind them, 0 after an error."""
        buffer = self.buffer
        plain = self.quantity != MANUFACTURER
        count = 0
        vife = 0x80
        while vife & 0x80:
            if at >= self._limit or count == MAX_EXTENSIONS:
                self._fail("vife")
                return 0
            vife = buffer[at]
            at += 1
            count += 1
            code = vife & 0x7F
            if not plain:
                continue
            if code >= 0x70:
                plain = self._correct(code)
            elif code in _DATE_VIFES:
                self.unit = POINT
        return at

    def _correct(self, code):
        """A VIFE from 70h on: factor, constant, or (False) the maker's own VIFEs follow."""
        if code < 0x78:
            self.scaler += code - 0x76
        elif code < 0x7C:
            self.scaler -= 3
            self._offset = 10 ** (code & 3)
        elif code == 0x7D:
            self.scaler += 3
        return code not in (0x7C, 0x7F)

    def _variable(self, at):
        """Kind and size of a value that tells its length; -1 where that is none."""
        if at >= self._limit:
            return -1
        length = self.buffer[at]
        if length < 0xC0:
            return length
        if length < 0xE0:
            self.kind = NEGATIVE_BCD if length & 0x10 else BCD
            return length & 15 if length & 15 < 10 else -1
        self.kind = BINARY
        if length < 0xF0:
            return length & 15
        if length < 0xF5:
            return 4 * (length - 0xEC)
        return 48 if length == 0xF5 else 64 if length == 0xF6 else -1

    def _point(self):
        """A date or time, where quantity and size go together."""
        if self.quantity == DATE:
            fits = self.size == 2
        else:
            fits = self.size != 2 or self.quantity != DATE_TIME
        if fits:
            self.kind = TIME_POINT

    def _real(self):
        self.kind = REAL
        found = values.real(self.buffer, self.data)
        if found is None:
            self._number = None
            return
        self._number, scaler = found
        self.scaler += scaler
        if self._offset:
            self._number = self._number * 1000 + self._offset * 10**-scaler
