"""HDLC frames of the wired LMN: frame format type 3, without transparency (ISO/IEC 13239, 4.9).

Knows where a frame begins and ends, its addresses, control field and checksums, nothing of what
the information field says; who may send when stands in `hdlc_station`. A frame is flag, two
bytes of format (type 3, segmentation, length), two bytes of address each for destination and
source, control, checksum of the head, information and checksum of all, flag. Data is not
escaped: the length alone tells where the frame ends.
"""

from dicamm.proto.crc import crc16_x25

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


MAX_INFORMATION = const(2034)  # BSI TR-03109-1, wired LMN
MAX_EVENTS = const(16)  # waiting for next_event(); further ones are only counted, "not fetched"

# event kinds
FRAME = const(1)  # data: HdlcFrame
DISCARD = const(2)  # data: reason

# commands and responses without sequence numbers, P/F bit not set
SNRM = const(0x83)
UA = const(0x63)
DISC = const(0x43)
DM = const(0x0F)
FRMR = const(0x87)
UI = const(0x03)
# supervisory frames, N(R) and P/F bit not set
RR = const(0x01)
RNR = const(0x05)
REJ = const(0x09)
INFORMATION = const(0x00)
FINAL = const(0x10)  # P/F bit: the primary polls, the secondary ends its turn

_FLAG = const(0x7E)
_TYPE_3 = const(0xA0)
_SEGMENTED = const(0x08)
_HEAD = const(7)  # format, addresses, control
_BARE = const(9)  # the same and one checksum: there is no information
_MAX_LENGTH = const(_HEAD + 2 + MAX_INFORMATION + 2)


class Event:
    """kind and data as above; offset and length: the bytes of the stream it speaks of."""

    def __init__(self, kind, data, offset, length):
        self.kind = kind
        self.data = data
        self.offset = offset
        self.length = length


class HdlcFrame:
    """One frame.

    destination, source: (upper, lower) address, 0 to 127 each; control: field as sent;
    segmented: more of the same message follows; information: bytes, b"" where there is none.
    """

    def __init__(self, destination, source, control, information=b"", segmented=False):
        self.destination = destination
        self.source = source
        self.control = control
        self.information = information
        self.segmented = segmented

    @property
    def kind(self):
        """INFORMATION, RR, RNR, REJ or one of the commands without sequence numbers."""
        if not self.control & 1:
            return INFORMATION
        return self.control & (0x0F if self.control & 3 == 1 else 0xEF)

    @property
    def final(self):
        """Whether the P/F bit is set."""
        return self.control & FINAL != 0

    @property
    def sent(self):
        """N(S) of an information frame."""
        return self.control >> 1 & 7

    @property
    def received(self):
        """N(R) of information and supervisory frames: the number awaited next."""
        return self.control >> 5


class HdlcReceiver:
    """Turns received bytes, in any chunking, into events.

    Total: every input yields events, never an exception. Memory is bounded by one frame
    (made once, max_information bytes and 11) and MAX_EVENTS. Counts what it threw away in
    `discarded` (reason -> number): "noise" (a run of bytes outside frames), "format" (no type
    3, or a length that cannot be), "too long", "hcs", "fcs", "flag" (the end is none),
    "address" (the bits that end an address are elsewhere), "cut off" (`finish`), "not
    fetched". The bytes of a bad frame are searched once more for a flag.
    """

    def __init__(self, max_information=MAX_INFORMATION):
        if not 0 < max_information <= MAX_INFORMATION:
            raise ValueError("max_information %d" % max_information)
        self.discarded = {}
        self._limit = max_information
        self._buffer = bytearray(_HEAD + 4 + max_information + 2)  # and its two flags
        self._view = memoryview(self._buffer)
        self._fill = 0
        self._offset = 0  # place of buffer[0] in the stream
        self._noise = 0  # bytes of noise before buffer[0]
        self._wreck = 0  # bytes from buffer[0] on that belong to a frame already discarded
        self._events = []

    def feed(self, data):
        """Takes received bytes."""
        data = memoryview(data)
        at = 0
        while at < len(data):
            count = min(len(data) - at, len(self._buffer) - self._fill)
            self._view[self._fill : self._fill + count] = data[at : at + count]
            self._fill += count
            at += count
            self._run()

    def finish(self):
        """The line fell silent, or the input ended: what is begun is discarded as "cut off"."""
        while self._fill:
            if self._fill == 1 and self._buffer[0] == _FLAG:
                self._drop(1)  # the flag that ended the last frame
            else:
                self._fail("cut off", self._fill)
                self._run()
        self._end_noise()
        self._wreck = 0

    def next_event(self):
        """The oldest event, or None when more bytes are needed."""
        return self._events.pop(0) if self._events else None

    def _run(self):
        while self._fill and self._step():
            pass

    def _step(self):
        """One frame, or what is none; False when more bytes are needed."""
        buffer = self._buffer
        if buffer[0] != _FLAG:
            found = buffer.find(b"\x7e", 0, self._fill)
            self._skip(self._fill if found < 0 else found)
            return True
        if self._fill < 2:
            return False
        if buffer[1] == _FLAG:
            self._drop(1)  # flags fill the time between frames
            return True
        if buffer[1] & 0xF0 != _TYPE_3:
            self._fail("format", 2)
            return True
        if self._fill < 3:
            return False
        length = (buffer[1] & 7) << 8 | buffer[2]
        if length < _BARE or _BARE < length < _BARE + 3:
            self._fail("format", 3)
        elif length > _HEAD + 4 + self._limit:
            self._fail("too long", 3)
        elif length > _BARE and self._fill >= _BARE + 1 and not self._good(_HEAD):
            self._fail("hcs", _BARE + 1)
        elif self._fill < length + 2:
            return False
        else:
            self._check(length)
        return True

    def _good(self, size):
        """Whether the checksum behind the first `size` bytes (flag not counted) is theirs."""
        buffer = self._buffer
        stored = buffer[1 + size] | buffer[2 + size] << 8
        return crc16_x25(buffer, 1, 1 + size) == stored

    def _check(self, length):
        buffer = self._buffer
        if buffer[length + 1] != _FLAG:
            self._fail("flag", length + 2)
        elif not self._good(length - 2):
            self._fail("fcs", length + 2)
        elif buffer[3] & 1 or not buffer[4] & 1 or buffer[5] & 1 or not buffer[6] & 1:
            self._fail("address", length + 2)
        else:
            self._take(length)

    def _take(self, length):
        buffer = self._buffer
        self._end_noise()
        information = bytes(self._view[_HEAD + 3 : length - 1]) if length > _BARE else b""
        frame = HdlcFrame(
            (buffer[3] >> 1, buffer[4] >> 1),
            (buffer[5] >> 1, buffer[6] >> 1),
            buffer[7],
            information,
            buffer[1] & _SEGMENTED != 0,
        )
        self._put(Event(FRAME, frame, self._offset, length + 2))
        self._drop(length + 1)  # its last flag may be the first one of the next

    def _fail(self, reason, length):
        self._end_noise()
        if self._wreck < length:
            self._count(reason)
            self._put(Event(DISCARD, reason, self._offset, length))
            self._wreck = length
        self._drop(1)

    def _skip(self, count):
        self._noise += max(0, count - self._wreck)
        self._drop(count)

    def _end_noise(self):
        if self._noise:
            self._count("noise")
            self._put(Event(DISCARD, "noise", self._offset - self._noise, self._noise))
            self._noise = 0

    def _drop(self, count):
        self._fill -= count
        if self._fill:
            self._view[: self._fill] = self._view[count : count + self._fill]
        self._offset += count
        self._wreck = max(0, self._wreck - count)

    def _put(self, event):
        if len(self._events) < MAX_EVENTS:
            self._events.append(event)
        else:
            self._count("not fetched")

    def _count(self, reason):
        self.discarded[reason] = self.discarded.get(reason, 0) + 1


def encode(frame):
    """The bytes of a frame, flags included. Raises ValueError where a field does not fit."""
    size = len(frame.information)
    if size > MAX_INFORMATION:
        raise ValueError("%d bytes of information" % size)
    length = _HEAD + 4 + size if size else _BARE
    out = bytearray((_FLAG, _TYPE_3 | (_SEGMENTED if frame.segmented else 0) | length >> 8))
    out.append(length & 0xFF)
    for upper, lower in (frame.destination, frame.source):
        if not (0 <= upper <= 127 and 0 <= lower <= 127):
            raise ValueError("address %d, %d" % (upper, lower))
        out.append(upper << 1)
        out.append(lower << 1 | 1)
    out.append(frame.control)
    _append_checksum(out)
    if size:
        out += frame.information
        _append_checksum(out)
    out.append(_FLAG)
    return bytes(out)


def _append_checksum(out):
    crc = crc16_x25(out, 1, len(out))
    out.append(crc & 0xFF)
    out.append(crc >> 8)
