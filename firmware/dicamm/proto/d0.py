"""Readouts of meters in text, as the optical port sends them unasked (IEC 62056-21, "D0").

Knows bytes and what they say, no port, no clock. A readout is `/` manufacturer and
identification, an empty line, lines of data sets `name(value*unit)`, a line `!`; asked for, it
comes between STX and ETX with a block check character behind (modes A to C, clause 6), pushed
without (mode D). Bytes come with 7 bits and even parity; received as 8 bits, the parity is
checked and taken off here.
"""

MAX_READOUT = 2048

# event kinds
READOUT = 1  # data: D0Readout
DISCARD = 2  # data: reason

_STX = 0x02
_ETX = 0x03
_LF = 0x0A
_CR = 0x0D
_BEGIN = 0x2F  # /
_END = 0x21  # !

# DLMS unit codes (IEC 62056-6-2) and powers of ten of the units in use
_UNITS = {
    "W": (27, 0),
    "kW": (27, 3),
    "MW": (27, 6),
    "VA": (28, 0),
    "kVA": (28, 3),
    "var": (29, 0),
    "kvar": (29, 3),
    "Wh": (30, 0),
    "kWh": (30, 3),
    "MWh": (30, 6),
    "VAh": (31, 0),
    "kVAh": (31, 3),
    "varh": (32, 0),
    "kvarh": (32, 3),
    "A": (33, 0),
    "V": (35, 0),
    "kV": (35, 3),
    "Hz": (44, 0),
    "%": (56, 0),
    "m3": (13, 0),
    "deg": (8, 0),
}
_LETTERS = {"C": 96, "F": 97, "L": 98, "P": 99}  # in place of the third group


class Event:
    """kind and data as above; offset and length: the bytes of the stream it speaks of."""

    def __init__(self, kind, data, offset, length):
        self.kind = kind
        self.data = data
        self.offset = offset
        self.length = length


class D0Readout:
    """What one readout says.

    offset, length: its bytes in the stream. manufacturer: three letters. identification: text.
    checked: whether a block check character was there (and good). entries: list of D0Entry.
    """

    def __init__(self, offset, length, manufacturer, identification, checked):
        self.offset = offset
        self.length = length
        self.manufacturer = manufacturer
        self.identification = identification
        self.checked = checked
        self.entries = []


class D0Entry:
    """One data set: value = raw * 10**scaler in unit (DLMS code, None: unknown or not sent).

    name: as sent. obis: its six bytes, groups left out filled in as 1-0:...*255, or None where
    it is no such name. text: the value as sent. raw: int, or None where the text is no number.
    unit_text: as sent, or "". Several values behind one name are as many entries.
    """

    def __init__(self, name, text, unit_text):
        self.name = name
        self.obis = obis_of(name)
        self.text = text
        self.unit_text = unit_text
        self.unit, power = _UNITS.get(unit_text, (None, 0))
        self.raw, self.scaler = number_of(text)
        self.scaler += power


class D0Receiver:
    """Turns received bytes, in any chunking, into events.

    Total: every input yields events, never an exception. Memory is bounded by MAX_READOUT.
    Counts what it threw away in `discarded` (reason -> number): "parity", "bcc", "form" (a line
    that is no data set), "too long", "restart" (a readout began before the end), "cut off"
    (`finish`). Bytes between readouts are passed over.
    """

    def __init__(self):
        self.discarded = {}
        self._events = []
        self._buffer = bytearray()
        self._seen = 0
        self._last = _LF
        self._reset()

    def feed(self, data):
        """Takes received bytes; what they complete is there as events."""
        for byte in data:
            self._seen += 1
            self._take(byte)
            self._last = byte & 0x7F

    def finish(self):
        """Declares the end of the input: a begun readout is discarded as "cut off"."""
        if self._buffer:
            self._discard("cut off")

    def next_event(self):
        """The oldest event, or None when more bytes are needed."""
        return self._events.pop(0) if self._events else None

    def _reset(self):
        self._buffer = bytearray()
        self._block_at = 0  # behind STX, 0: none
        self._end_at = 0  # of the last line's mark
        self._check_next = False

    def _take(self, byte):
        plain = byte & 0x7F
        if self._check_next:
            self._buffer.append(byte)
            self._close()
            return
        at_line = self._last in (_LF, _CR, _STX)
        if plain == _BEGIN and (at_line or not self._buffer):
            if self._buffer:
                self._discard("restart")
        elif not self._buffer:
            return
        self._buffer.append(byte)
        if len(self._buffer) > MAX_READOUT:
            self._discard("too long")
        elif plain == _STX and not self._block_at:
            self._block_at = len(self._buffer)
        elif plain == _END and at_line:
            self._end_at = len(self._buffer)
        elif plain == _ETX and self._block_at:
            self._check_next = True
        elif plain == _LF and self._end_at and not self._block_at:
            self._close()

    def _close(self):
        data = self._buffer
        offset = self._seen - len(data)
        plain = bytes([byte & 0x7F for byte in data])
        if not _parity_good(data):
            self._discard("parity")
        elif self._block_at and not _block_check_good(plain, self._block_at):
            self._discard("bcc")
        else:
            readout = _read(plain, self._block_at, self._end_at, offset)
            if readout is None:
                self._discard("form")
                return
            self._reset()
            self._events.append(Event(READOUT, readout, offset, readout.length))

    def _discard(self, reason):
        length = len(self._buffer)
        self.discarded[reason] = self.discarded.get(reason, 0) + 1
        self._events.append(Event(DISCARD, reason, self._seen - length, length))
        self._reset()


def number_of(text):
    """(raw, scaler) of a decimal number, exact: raw * 10**scaler; (None, 0) where it is none."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    whole, point, part = digits.partition(".")
    if not whole.isdigit() or (point and part and not part.isdigit()):
        return None, 0
    raw = int(whole + part)
    return (-raw if text[0] == "-" else raw), -len(part)


def obis_of(name):
    """Six bytes of `1-0:1.8.0*255`, `1.8.0`, `C.1.0`; left out groups are 1-0, 0, 255. Or None."""
    media: list = [1, 0]
    front, colon, rest = name.rpartition(":")
    if colon:
        media = [_group(group) for group in front.split("-")]
        if len(media) == 1:
            media.insert(0, 1)
    rest, _, last = rest.replace("&", "*").partition("*")
    groups = rest.split(".")
    if len(media) != 2 or not 2 <= len(groups) <= 3:
        return None
    groups = [_LETTERS.get(groups[0], _group(groups[0]))] + [_group(g) for g in groups[1:]]
    if len(groups) == 2:
        groups.append(0)
    found: list = media + groups + [_group(last) if last else 255]
    return None if None in found else bytes(found)


def _group(text):
    return int(text) if text.isdigit() and len(text) <= 3 and int(text) < 256 else None


def _parity_good(data):
    """Whether all bytes have even parity, where any has its eighth bit set at all."""
    if not any(byte & 0x80 for byte in data):
        return True
    for byte in data:
        byte ^= byte >> 4
        byte ^= byte >> 2
        if (byte ^ byte >> 1) & 1:
            return False
    return True


def _block_check_good(data, block_at):
    check = 0
    for index in range(block_at, len(data)):
        check ^= data[index]
    return check == 0  # the character itself is the sum of all behind STX, ETX included


def _read(data, block_at, end_at, offset):
    lines = str(data[: end_at - 1 if end_at else len(data) - 2], "ascii").split("\n")
    head = lines[0].strip("\r")
    if len(head) < 5 or not head[1:4].isalpha():
        return None
    readout = D0Readout(offset, len(data), head[1:4], head[5:], bool(block_at))
    for line in lines[1:]:
        line = line.strip("\r\x02")
        if line and not _read_line(line, readout.entries):
            return None
    return readout


def _read_line(line, entries):
    """Adds the data sets of one line; whether it has that form."""
    name = ""
    while line:
        front, begin, rest = line.partition("(")
        value, end, line = rest.partition(")")
        if not begin or not end or "(" in value or ")" in front:
            return False
        name = front or name  # another value of the same name has none of its own
        if not name:
            return False
        text, _, unit = value.partition("*")
        entries.append(D0Entry(name, text, unit))
    return True
