"""Link frames of wired M-Bus: single character, short, control and long frame (EN 13757-2).

Knows where a frame begins and ends and whether its checksum is good, nothing of what it says.
A silence on the line ends a frame too: whoever knows the time tells so by `finish`. Bytes get
lost on a real line, so the bytes of a broken frame are searched once more, but for long frames
only: E5h and 10h are too common inside one to be believed there, and E5h not behind noise.
"""

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


MAX_FRAME = const(261)
MAX_EVENTS = const(32)  # waiting for next_event(); further ones are only counted, "not fetched"

# event kinds
FRAME = const(1)  # data: MbusFrame
DISCARD = const(2)  # data: reason

# kinds of frames
ACKNOWLEDGE = const(1)
SHORT = const(2)
LONG = const(3)  # with user data; without any it is EN 13757-2's control frame

FROM_MASTER = const(0x40)  # bit of the control field

# reasons a frame is discarded for; besides, "noise" is a run of bytes between frames
FRAME_DISCARDS = ("length", "stop", "checksum", "cut off")

_ACK = const(0xE5)
_SHORT_START = const(0x10)
_LONG_START = const(0x68)
_STOP = const(0x16)
_STARTS = b"\xe5\x10\x68"


class Event:
    """kind and data as above; offset and length: the bytes of the stream it speaks of."""

    def __init__(self, kind, data, offset, length):
        self.kind = kind
        self.data = data
        self.offset = offset
        self.length = length


class MbusFrame:
    """One link frame. control, address: fields, None for the single character.

    data: bytes from the CI field on, empty where the frame has none.
    """

    def __init__(self, kind, control, address, data):
        self.kind = kind
        self.control = control
        self.address = address
        self.data = data


class MbusReceiver:
    """Turns received bytes, in any chunking, into events.

    Total: every input yields events, never an exception. Memory is bounded by MAX_FRAME and
    MAX_EVENTS. Counts what it threw away in `discarded` (reason -> number): "noise" (a run of
    bytes between frames), "length" (the two lengths differ, or are below 3), "stop",
    "checksum", "cut off" (`finish` came before the end), "not fetched".
    """

    def __init__(self):
        self.discarded = {}
        self._buffer = bytearray(MAX_FRAME)
        self._view = memoryview(self._buffer)
        self._fill = 0
        self._offset = 0  # place of buffer[0] in the stream
        self._noise = 0  # bytes of noise before buffer[0]
        self._wreck = 0  # bytes from buffer[0] on that belong to a frame already discarded
        self._events = []

    def feed(self, data):
        """Takes received bytes."""
        begin = self._fill
        end = begin + len(data)
        if end <= MAX_FRAME:
            self._view[begin:end] = data
            self._fill = end
            self._run()
            return
        data = memoryview(data)
        at = 0
        while at < len(data):
            count = min(len(data) - at, MAX_FRAME - self._fill)
            self.feed(data[at : at + count])
            at += count

    def finish(self):
        """The line fell silent, or the input ended: what is begun is discarded as "cut off"."""
        while self._fill:
            self._fail("cut off", self._fill)
            self._run()
        self._end_noise()
        self._wreck = 0

    def next_event(self):
        """The oldest event, or None when more bytes are needed."""
        return self._events.pop(0) if self._events else None

    def _run(self):
        while self._fill:
            going = self._long() if self._buffer[0] == _LONG_START else self._other()
            if not going:
                return  # more bytes are needed

    def _other(self):
        """A short frame, a single character, or noise."""
        start = self._buffer[0]
        if self._wreck == 0:
            if start == _SHORT_START:
                return self._short()
            if start == _ACK and self._noise == 0:
                self._take(MbusFrame(ACKNOWLEDGE, None, None, b""), 1)
                return True
        count = 1
        while count < self._fill and self._buffer[count] not in _STARTS:
            count += 1
        self._skip(count)
        return True

    def _short(self):
        if self._fill < 5:
            return False
        buffer = self._buffer
        if buffer[4] != _STOP:
            self._fail("stop", 5)
        elif buffer[1] + buffer[2] & 0xFF != buffer[3]:
            self._fail("checksum", 5)
        else:
            self._take(MbusFrame(SHORT, buffer[1], buffer[2], b""), 5)
        return True

    def _long(self):
        buffer = self._buffer
        if self._fill < 4:
            return False
        size = buffer[1]
        if buffer[3] != _LONG_START:
            self._skip(1)  # no head of a frame, only its first byte
        elif size != buffer[2]:
            self._fail("length", 4)
        elif size < 3:
            self._fail("length", size + 6)
        elif self._fill < size + 6:
            return False
        elif buffer[size + 5] != _STOP:
            self._fail("stop", size + 6)
        else:
            data = bytes(self._view[6 : size + 4])
            if buffer[4] + buffer[5] + sum(data) & 0xFF != buffer[size + 4]:
                self._fail("checksum", size + 6)
            else:
                self._take(MbusFrame(LONG, buffer[4], buffer[5], data), size + 6)
        return True

    def _take(self, frame, length):
        if self._noise:
            self._end_noise()
        self._put(Event(FRAME, frame, self._offset, length))
        self._drop(length)

    def _fail(self, reason, length):
        """Gives a frame up; a further one that it may hide is looked for."""
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
        if self._wreck:
            self._wreck = max(0, self._wreck - count)

    def _put(self, event):
        if len(self._events) < MAX_EVENTS:
            self._events.append(event)
        else:
            self._count("not fetched")

    def _count(self, reason):
        self.discarded[reason] = self.discarded.get(reason, 0) + 1
