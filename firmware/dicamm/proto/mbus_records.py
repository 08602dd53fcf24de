"""Data records of M-Bus: one after the other, in place (EN 13757-3, chapter 6).

Knows the bytes behind the header of a telegram: what each record measures and where its value
stands. Nothing is copied and no record is kept: one cursor walks over all of them.
"""

from dicamm.proto import mbus_values as values
from dicamm.proto.mbus_vif import EXPONENT, QUANTITY, UNIT

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


# names of these numbers for others: mbus_codes
_INTEGER = const(1)
_REAL = const(2)
_BCD = const(3)
_NEGATIVE_BCD = const(4)
_CHARACTERS = const(5)
_BINARY = const(6)
_TIME_POINT = const(7)
_RAW = const(8)
_MORE = const(9)
_UNREADABLE = const(10)
_ERROR_STATE = const(3)
_DATE = const(14)
_DATE_TIME = const(15)
_MANUFACTURER = const(23)
_RESERVED = const(24)
_TEXT = const(25)
_UNKNOWN = const(253)
_POINT = const(254)
_NO_UNIT = const(255)

_MAX_EXTENSIONS = const(10)  # DIFEs, and VIFEs, of one record
_FILLER = const(0x2F)
_REAL32 = const(5)
_LVAR = const(13)
_SPECIAL = const(15)
_TEXT_VIF = const(0x7C)
# by data field: kind in the high half, in the low half bytes (those of 13 are told by the data)
_CODINGS = b"\x00\x11\x12\x13\x14\x24\x16\x18\x00\x31\x32\x33\x34\x50\x36"
_DATE_SIZES = b"\x02\x03\x04\x06"
# VIFEs that make the value a point in time: start, and limits passed (E100uf1b, E1101f1b)
_DATE_VIFES = b"\x39\x42\x43\x46\x47\x4a\x4b\x4e\x4f\x6a\x6b\x6e\x6f"


class MbusRecords:
    """Cursor over the records in buffer[start:end].

    After next() returned True the attributes tell of one record: at, vib, data, end: where
    its DIF, VIF, data (of a variable length: its length byte) and successor begin; function,
    storage, tariff, device: numbers; extended: tariff and device were sent; kind; quantity
    and unit: codes of mbus_codes; scaler: value = raw() * 10**scaler in unit.
    error: why the walk ended before the end of the bytes ("dif", "dife", "vif", "vife",
    "text", "length", "data"), else None. A telegram with an error is no reading at all.
    padded: set by whoever took an encryption off: fillers behind the maker's data belong to
    the cipher's blocks, not to the data.
    """

    def __init__(self, buffer=b"", start=0, end=0):
        self.function = self.storage = self.tariff = self.device = self.kind = 0
        self.extended = False
        self.quantity = _RESERVED
        self.unit = _UNKNOWN
        self.scaler = self.size = 0
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
        while at < limit and buffer[at] == _FILLER:
            at += 1
        if at >= limit:
            self.end = limit
            return False
        self.at = at
        dif = buffer[at]
        at += 1
        coding = dif & 15
        if coding == _SPECIAL:
            return self._special(dif, at)
        self.function = dif >> 4 & 3
        self.storage = dif >> 6 & 1
        if dif > 0x7F:
            if at < limit and buffer[at] < 0x80:  # one DIFE, as usual
                dif = buffer[at]
                at += 1
                self.storage |= (dif & 15) << 1
                self.tariff = dif >> 4 & 3
                self.device = dif >> 6
                self.extended = True
            else:
                at = self._dife(at)
        elif self.extended:
            self.tariff = self.device = 0
            self.extended = False
        self.vib = at
        if at >= limit or not at:
            return self._fail("vif" if at else "dife")
        vif = buffer[at]
        at += 1
        if vif < _TEXT_VIF:
            self.quantity = QUANTITY[vif]
            unit = self.unit = UNIT[vif]
            self.scaler = EXPONENT[vif] - 64
            if self._offset:
                self._offset = 0
        else:
            at = self._vib(vif, at)
            if not at:
                return False
            unit = self.unit
        self.data = at
        size = _CODINGS[coding]
        kind = self.kind = size >> 4
        size &= 15
        if coding == _LVAR:
            size = self._variable(at)
            if size < 0:
                return self._fail("length" if at < limit else "data")
            at += 1
        self.size = size
        at = self.end = at + size
        if at > limit:
            return self._fail("data")
        if kind == _REAL:
            self._real()
        elif unit == _POINT and kind == _INTEGER:
            self._point()
        return True

    def raw(self):
        """The number sent: an integer, or None where the record holds none or no valid one."""
        kind = self.kind
        size = self.size
        if kind == _INTEGER:
            buffer = self.buffer
            place = self.end - size
            if size == 4:  # the usual one, without a loop
                number = buffer[place + 3]
                if number > 0x7F:
                    number -= 0x100
                number = number << 8 | buffer[place + 2]
                number = (number << 8 | buffer[place + 1]) << 8 | buffer[place]
            else:
                number = values.integer(buffer, place, size)
        elif kind == _BCD:
            number = values.bcd(self.buffer, self.end - size, size)
        elif kind == _REAL:
            return self._number
        elif kind == _NEGATIVE_BCD:
            number = values.bcd(self.buffer, self.end - size, size)
            number = None if number is None else -number
        else:
            return None
        if self._offset and number is not None:
            return 1000 * number + self._offset
        return number

    def rounded(self, scaler):
        """The value as the nearest multiple of 10**scaler, in those, or None.

        None also where the number means "no value", or was read while the meter was in error.
        """
        raw = self.raw()
        if raw is None or self.undefined() or self.function == _ERROR_STATE:
            return None
        return (_reals or _load_reals())[1](raw, self.scaler, scaler)

    def undefined(self):
        """Whether the number sent is the one that stands for "no value"."""
        return self.kind == _INTEGER and values.is_undefined(
            self.buffer, self.end - self.size, self.size
        )

    def text(self):
        """CHARACTERS as text; TIME_POINT as mbus_words.date gives it; else None."""
        if self.kind not in (_CHARACTERS, _TIME_POINT):
            return None
        read = (_words or _load_words())[self.kind == _TIME_POINT]
        return read(self.buffer, self.end - self.size, self.size)

    def name(self):
        """The quantity's name where the telegram holds it as text, else None."""
        if self.quantity != _TEXT:
            return None
        return (_words or _load_words())[0](self.buffer, self.vib + 2, self.buffer[self.vib + 1])

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
        self.quantity = _MANUFACTURER
        self.unit = _NO_UNIT
        self.scaler = 0
        if dif == 0x0F or dif == 0x1F:
            self.kind = _RAW if dif == 0x0F else _MORE
        elif dif == 0xFF and self._all_set(at):
            self.end = limit
            return False
        else:
            self.kind = _UNREADABLE
            self.quantity = _RESERVED
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
            if shift == _MAX_EXTENSIONS:
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
        self._offset = 0
        code = vif & 0x7F
        more = vif > 0x7F
        if vif == 0xFD or vif == 0xFB:
            table = (_more or _load())[vif == 0xFB]
            if vif == 0xFD and at < limit and buffer[at] == 0xFD:
                at += 1
                table = _more[2]
            if at >= limit:
                self._fail("vife")
                return 0
            code = buffer[at]
            at += 1
            more = code > 0x7F
            code &= 0x7F
            if table is _more[2] and code >= len(table[0]):
                code = 1  # a reserved one
            self.quantity = table[0][code]
            self.unit = table[1][code]
            self.scaler = table[2][code] - 64
        else:
            if code == _TEXT_VIF:
                if at >= limit or at + 1 + buffer[at] > limit:
                    self._fail("text")
                    return 0
                at += 1 + buffer[at]
            self.quantity = QUANTITY[code]
            self.unit = UNIT[code]
            self.scaler = EXPONENT[code] - 64
        self._vifes = at
        return self._modified(at) if more else at

    def _modified(self, at):
        """Reads the VIFEs that change the value; the place behind them, 0 after an error."""
        buffer = self.buffer
        plain = self.quantity != _MANUFACTURER
        count = 0
        vife = 0x80
        while vife & 0x80:
            if at >= self._limit or count == _MAX_EXTENSIONS:
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
                self.unit = _POINT
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
            self.kind = _NEGATIVE_BCD if length & 0x10 else _BCD
            return length & 15 if length & 15 < 10 else -1
        self.kind = _BINARY
        if length < 0xF0:
            return length & 15
        if length < 0xF5:
            return 4 * (length - 0xEC)
        return 48 if length == 0xF5 else 64 if length == 0xF6 else -1

    def _point(self):
        """A date or time, where quantity and size go together."""
        size = self.size
        if self.quantity != (_DATE_TIME if size == 2 else _DATE) and size in _DATE_SIZES:
            self.kind = _TIME_POINT

    def _real(self):
        found = (_reals or _load_reals())[0](self.buffer, self.data)
        self._number, scaler = found or (None, 0)
        self.scaler += scaler
        if self._offset and found:
            self._number = found[0] * 1000 + self._offset * 10**-scaler


_more = []  # tables of mbus_vif_more,
_reals = []  # functions of mbus_reals,
_words = []  # and of mbus_words, once they are needed: most readers need none


def _load():
    from dicamm.proto import mbus_vif_more as tables

    _more.extend((tables.EXTENSION_FD, tables.EXTENSION_FB, tables.SECOND_FD))
    return _more


def _load_reals():
    from dicamm.proto.mbus_reals import real, scaled

    _reals.extend((real, scaled))
    return _reals


def _load_words():
    from dicamm.proto.mbus_words import date, text

    _words.extend((text, date))
    return _words
