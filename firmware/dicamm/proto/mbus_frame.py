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

# kinds of events: a frame, or bytes thrown away
ACKNOWLEDGE = const(1)  # the single character
SHORT = const(2)
LONG = const(3)  # with user data; without any it is EN 13757-2's control frame
DISCARD = const(4)

FROM_MASTER = const(0x40)  # bit of the control field


_ACK = const(0xE5)
_SHORT_START = const(0x10)
_LONG_START = const(0x68)
_STOP = const(0x16)
_STARTS = b"\xe5\x10\x68"


class Event:
    """kind as above. offset, length: the bytes of the stream it speaks of.

    data: of a frame the bytes from the CI field on, empty where it has none; of a discard the
    reason. control, address: fields of the frame, None where it has none.
    """

    def __init__(self, kind, data, offset, length):
        self.kind = kind
        self.data = data
        self.offset = offset
        self.length = length
        self.control = self.address = None


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
        if end > MAX_FRAME:
            data = memoryview(data)
            while len(data):
                room = MAX_FRAME - self._fill
                self.feed(data[:room])
                data = data[room:]
            return
        self._view[begin:end] = data
        self._fill = end
        while self._fill:
            going = self._long() if self._buffer[0] == _LONG_START else self._other()
            if not going:
                return  # more bytes are needed

    def finish(self):
        """The line fell silent, or the input ended: what is begun is discarded as "cut off"."""
        while self._fill:
            self._fail("cut off", self._fill)
            self.feed(b"")
        self._end_noise()
        self._wreck = 0

    def next_event(self):
        """The oldest event, or None when more bytes are needed."""
        return self._events.pop(0) if self._events else None

    def _other(self):
        """A short frame, a single character, or noise."""
        buffer = self._buffer
        if self._wreck == 0:
            if buffer[0] == _SHORT_START:
                return self._short(buffer)
            if buffer[0] == _ACK and self._noise == 0:
                self._take(ACKNOWLEDGE, b"", 1, 0)
                return True
        count = 1
        while count < self._fill and buffer[count] not in _STARTS:
            count += 1
        self._skip(count)
        return True

    def _short(self, buffer):
        if self._fill < 5:
            return False
        good = buffer[1] + buffer[2] & 0xFF == buffer[3]
        if good and buffer[4] == _STOP:
            self._take(SHORT, b"", 5, 1)
        elif self._noise:
            self._skip(1)  # more of it
        else:
            self._fail("checksum" if buffer[4] == _STOP else "stop", 5)
        return True

    def _long(self):
        fill = self._fill
        if fill < 4:
            return False
        buffer = self._buffer
        length = buffer[1] + 6
        if buffer[3] != _LONG_START:
            self._skip(1)  # no head of a frame, only its first byte
        elif buffer[2] + 6 != length:
            length = max(length, buffer[2] + 6)
            self._fail("length", 4)
            self._wreck = max(self._wreck, length - 1)  # as long as either of them says
        elif fill < length:
            return False
        elif length < 9:
            self._fail("length", length)
        elif buffer[length - 1] != _STOP:
            self._fail("stop", length)
        else:
            data = bytes(self._view[6 : length - 2])
            if buffer[4] + buffer[5] + sum(data) & 0xFF != buffer[length - 2]:
                self._fail("checksum", length)
            else:
                self._take(LONG, data, length, 4)
        return True

    def _take(self, kind, data, length, at):
        """The frame of `length` bytes in the buffer is good; at: its control field, 0: none."""
        if self._noise:
            self._end_noise()
        event = Event(kind, data, self._offset, length)
        if at:
            event.control = self._buffer[at]
            event.address = self._buffer[at + 1]
        self._put(event)
        if length == self._fill and not self._wreck:  # nothing behind it, as usual
            self._fill = 0
            self._offset += length
        else:
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
        fill = self._fill = self._fill - count
        if fill:
            self._view[:fill] = self._view[count : count + fill]
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
