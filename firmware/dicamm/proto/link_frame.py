"""Frames of the bench link: COBS between zero bytes, CRC-32 behind the payload, stuffing.

Knows bytes only: neither messages nor ports nor time. The line is the board's console as well, so
text outside frames is not an error but the console's log, and a frame holds neither 0x03 (Ctrl-C,
with which mpremote interrupts) nor 0x04 (Ctrl-D, soft reset).

A frame on the line: 0x00, stuff(COBS(payload, CRC-32 little endian)), 0x00, where `stuff` writes
0x03, 0x04 and 0x1B as 0x1B followed by the byte xor 0x40.

What the bytes between two zeros are (a chunk), decided when the second zero comes:
  frame    stuffing, COBS and CRC hold and the payload is within MAX_PAYLOAD, wherever it stands;
  text     no frame, and no control byte in it but BS TAB LF CR ESC;
  discard  everything else: a frame was meant, and the first check that failed is the reason.
Outside a frame text is given out line by line, without waiting for a zero. A zero opens a frame,
except the one that closes a valid frame; the zero that ends a text or a discard opens the next
chunk, so an added zero costs no good frame, and a lost one only a frame that holds a line feed.
While a frame is open text waits for the next zero, for `flush`, or until it is longer than a
frame can be.
"""

import binascii

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


MAX_PAYLOAD = const(1024)
MAX_LINE = const(2066)  # bytes between two zeros: 1024 + CRC 4 + COBS 5, every one of them stuffed

# event kinds
FRAME = 1  # data: payload
LOG = 2  # data: console text, one line with its end, or a piece of one
DISCARD = 3  # data: reason ("stuffing", "cobs", "short", "crc", "too long", "incomplete")

_CRC_SIZE = const(4)
_STUFFED = ((b"\x1b", b"\x1b\x5b"), (b"\x03", b"\x1b\x43"), (b"\x04", b"\x1b\x44"))
_TEXT_CONTROLS = b"\x08\t\n\r\x1b"


class Event:
    """What came over the line. `raw`: of a DISCARD the bytes between its zeros, as received."""

    def __init__(self, kind, data, raw=b""):
        self.kind = kind
        self.data = data
        self.raw = raw


def encode(payload):
    """The frame of `payload` as it goes on the line, with both zeros.

    payload: bytes-like of at most MAX_PAYLOAD bytes, ValueError beyond.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ValueError("payload of %d bytes, limit %d" % (len(payload), MAX_PAYLOAD))
    payload = bytes(payload)
    whole = payload + binascii.crc32(payload).to_bytes(_CRC_SIZE, "little")
    return b"\x00" + stuff(encode_cobs(whole)) + b"\x00"


class LinkReceiver:
    """Turns received bytes, in any chunking, into events.

    Total: every input yields events, never an exception. Holds at most MAX_LINE bytes beside the
    events not yet taken. Counts what it threw away in `discarded` (reason -> number).
    """

    def __init__(self):
        self.discarded = {}
        self._line = bytearray(MAX_LINE)
        self._length = 0
        self._open = False  # behind a zero that may have opened a frame
        self._overrun = False
        self._events = []

    def feed(self, data):
        """Takes received bytes (bytes-like)."""
        data = bytes(data)
        start = 0
        while start < len(data):
            if data[start] == 0:
                self._close()
                start += 1
            else:
                start = self._take(data, start)

    def next_event(self):
        """The oldest event, or None when more bytes are needed."""
        return self._events.pop(0) if self._events else None

    def flush(self):
        """The line has been quiet: gives out text that waits for its end, gives up a begun frame.

        For the caller who has a clock. 200 ms is longer than any pause inside a frame.
        """
        if self._overrun:
            self._discard("too long")
        elif self._length and self._is_text():
            self._log()
        elif self._length:
            self._discard("incomplete")
        self._open = False

    def _take(self, data, start):
        """Keeps bytes up to the next zero, line end or full buffer; the position behind them."""
        end = data.find(b"\x00", start)
        if end < 0:
            end = len(data)
        if self._overrun:
            return end  # the rest, up to the next zero, belongs to it
        if self._length == MAX_LINE:
            self._full()
            return start
        line_end = -1 if self._open else data.find(b"\n", start, end)
        if line_end >= 0:
            end = line_end + 1
        end = min(end, start + MAX_LINE - self._length)
        self._line[self._length : self._length + end - start] = data[start:end]
        self._length += end - start
        if not self._open and data[end - 1] == 0x0A:
            self._log()
        return end

    def _full(self):
        if self._open and not self._is_text():
            self._overrun = True
        else:
            self._open = False
            self._log()

    def _close(self):
        payload, reason = self._payload()
        if payload is not None:
            self._events.append(Event(FRAME, payload))
            self._length = 0
        elif self._length and not self._overrun and self._is_text():
            self._log()
        elif self._length:
            self._discard(reason)
        self._open = payload is None

    def _payload(self):
        """(payload, None) of the frame in the buffer, or (None, the check that failed)."""
        if self._overrun:
            return None, "too long"
        encoded = unstuff(self._content())
        if encoded is None:
            return None, "stuffing"
        whole = decode_cobs(encoded)
        if whole is None:
            return None, "cobs"
        if len(whole) < _CRC_SIZE:
            return None, "short"
        if binascii.crc32(whole[:-_CRC_SIZE]) != int.from_bytes(whole[-_CRC_SIZE:], "little"):
            return None, "crc"
        if len(whole) > MAX_PAYLOAD + _CRC_SIZE:
            return None, "too long"
        return whole[:-_CRC_SIZE], None

    def _content(self):
        return bytes(memoryview(self._line)[: self._length])

    def _is_text(self):
        for index in range(self._length):
            byte = self._line[index]
            if (byte < 0x20 and byte not in _TEXT_CONTROLS) or byte == 0x7F:
                return False
        return True

    def _log(self):
        text = self._content()
        self._length = 0
        start = 0
        while start < len(text):
            end = text.find(b"\n", start) + 1 or len(text)
            self._events.append(Event(LOG, text[start:end]))
            start = end

    def _discard(self, reason):
        self.discarded[reason] = self.discarded.get(reason, 0) + 1
        self._events.append(Event(DISCARD, reason, self._content()))
        self._length = 0
        self._overrun = False


def stuff(data):
    """`data` with 0x03, 0x04 and 0x1B as 0x1B and the byte xor 0x40."""
    for plain, stuffed in _STUFFED:
        data = data.replace(plain, stuffed)
    return data


def unstuff(data):
    """The bytes that `stuff` turned into `data`, or None where it wrote no such thing."""
    plain = data
    for byte, stuffed in reversed(_STUFFED):
        plain = plain.replace(stuffed, byte)
    return plain if stuff(plain) == data else None


def encode_cobs(data):
    """`data` without a zero byte (consistent overhead byte stuffing, Cheshire and Baker 1999)."""
    out = bytearray()
    runs = data.split(b"\x00")
    for index, run in enumerate(runs):
        start = 0
        while len(run) - start >= 254:
            out.append(0xFF)
            out.extend(run[start : start + 254])
            start += 254
        if start < len(run) or start == 0 or index < len(runs) - 1:
            out.append(len(run) - start + 1)
            out.extend(run[start:])
    return bytes(out)


def decode_cobs(data):
    """The decoded bytes, or None where `data` is not COBS."""
    out = bytearray()
    position = 0
    while position < len(data):
        code = data[position]
        end = position + code
        if code == 0 or end > len(data):
            return None
        out.extend(data[position + 1 : end])
        position = end
        if code < 0xFF and position < len(data):
            out.append(0)
    return bytes(out)
