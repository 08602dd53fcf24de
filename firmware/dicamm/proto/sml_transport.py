"""Transport frames of SML, version 1: start, escapes, fill bytes, checksum.

Knows where a telegram begins and ends and whether its checksum is good, nothing of what it
says. A frame is `1b1b1b1b 01010101`, data, 0..3 fill bytes, `1b1b1b1b 1a` number of fill
bytes, CRC over all before it; `1b1b1b1b` inside the data is sent twice (SML 1.05, chapter
8). The CRC is X-25 low byte first; some Holley DTZ541 send CRC-16/KERMIT high byte first.
Bytes get lost on a real line: every start sequence begins anew, also inside a frame, and the
bytes of a bad frame are searched once more for one.
"""

from dicamm.proto.crc import crc16_kermit, crc16_x25

MAX_FRAME = 4096

# reasons a frame is discarded for; besides, "noise" is a run of bytes between frames
FRAME_DISCARDS = ("restart", "escape", "too long", "crc", "fill", "cut off")

_ESCAPE = b"\x1b\x1b\x1b\x1b"
_BEGIN = b"\x01\x01\x01\x01"
_START = _ESCAPE + _BEGIN
_END_MARK = 0x1A
_MAX_FILL = 3
_QUIET = -1  # bytes up to the next start belong to a frame already discarded


class SmlTransport:
    """Cuts a stream of bytes, in any chunking, into frames; subclasses take them.

    Total and bounded: one buffer of `max_frame` bytes, made once. A frame longer than that
    is discarded. Hooks: `_on_frame`, `_on_discard`.
    """

    def __init__(self, max_frame=MAX_FRAME):
        if max_frame < 32:
            raise ValueError("max_frame below 32")
        self._buffer = bytearray(max_frame)
        self._view = memoryview(self._buffer)
        self._fill = 0  # bytes in the buffer
        self._scan = 0  # bytes already searched
        self._offset = 0  # place of buffer[0] in the stream
        self._in_frame = False  # then buffer[0] is the frame's first byte
        self._literals = 0  # escapes in the frame that stand for themselves
        self._noise_from = 0  # first byte in the stream that belongs to no frame

    def feed(self, data):
        """Takes received bytes; what they complete goes to the hooks before it returns."""
        data = memoryview(data)
        size = len(data)
        at = 0
        while at < size:
            count = min(size - at, len(self._buffer) - self._fill)
            self._view[self._fill : self._fill + count] = data[at : at + count]
            self._fill += count
            at += count
            self._run()

    def finish(self):
        """Declares the end of the input: what is begun is discarded as "cut off"."""
        while self._in_frame:
            self._fail("cut off", self._fill)
            self._run()
        self._noise_until(self._offset + self._fill)
        self._drop(self._fill)
        self._noise_from = self._offset

    def _on_frame(self, start, end, length, crc):
        """A frame with good checksum: its messages are `_buffer[start:end]` until it returns.

        length: bytes on the line; crc: "x25" or "kermit". `_offset` is its place in the
        stream, `_literals` the number of escapes taken out of it.
        """
        raise NotImplementedError

    def _on_discard(self, reason, offset, length):
        """Bytes thrown away: reason, place in the stream, number."""
        raise NotImplementedError

    def _run(self):
        while self._step() if self._in_frame else self._hunt():
            pass

    def _hunt(self):
        found = self._buffer.find(_START, self._scan, self._fill)
        if found < 0:
            self._scan = max(self._scan, self._fill - len(_START) + 1)
            if self._fill == len(self._buffer):
                self._drop(self._fill - len(_START) + 1)
            return False
        self._noise_until(self._offset + found)
        self._begin(found)
        return True

    def _step(self):
        buffer = self._buffer
        at = buffer.find(_ESCAPE, self._scan, self._fill)
        if at < 0:
            self._scan = max(self._scan, self._fill - len(_ESCAPE) + 1)
            return self._wait()
        self._scan = at
        if at + 8 > self._fill:
            return self._wait()
        if buffer[at + 4] == _END_MARK:
            self._end(at)
        elif buffer.find(_ESCAPE, at + 4, at + 8) >= 0:
            self._literals += 1
            self._scan = at + 8
        elif buffer.find(_BEGIN, at + 4, at + 8) >= 0:
            self._on_discard("restart", self._offset, at)
            self._begin(at)
        else:
            self._fail("escape", at + 8)
        return True

    def _wait(self):
        if self._fill < len(self._buffer):
            return False
        self._fail("too long", self._fill)
        return True

    def _begin(self, at):
        self._drop(at)
        self._in_frame = True
        self._scan = len(_START)
        self._literals = 0

    def _end(self, at):
        crc = self._checksum(at + 6)
        fill = self._buffer[at + 5]
        end = at - fill
        if crc is None:
            self._fail("crc", at + 8)
        elif fill > _MAX_FILL or end < len(_START):
            self._fail("fill", at + 8)
        else:
            self._on_frame(len(_START), self._unescape(end), at + 8, crc)
            self._in_frame = False
            self._drop(at + 8)
            self._scan = 0
            self._noise_from = self._offset

    def _checksum(self, at):
        """The name of the checksum that the two bytes at `at` are of all before, or None."""
        buffer = self._buffer
        first, second = buffer[at], buffer[at + 1]
        if crc16_x25(buffer, 0, at) == second << 8 | first:
            return "x25"
        if crc16_kermit(buffer, 0, at) == first << 8 | second:
            return "kermit"
        return None

    def _unescape(self, end):
        at = len(_START)
        for _ in range(self._literals):
            at = self._buffer.find(_ESCAPE, at, end) + 4
            self._view[at : end - 4] = self._view[at + 4 : end]
            end -= 4
        return end

    def _fail(self, reason, length):
        """Gives the frame up; a start that byte loss hid inside it is found again."""
        self._on_discard(reason, self._offset, length)
        ended = reason in ("crc", "fill")
        self._noise_from = self._offset + length if ended else _QUIET
        self._in_frame = False
        self._scan = 1

    def _noise_until(self, offset):
        if _QUIET < self._noise_from < offset:
            self._on_discard("noise", self._noise_from, offset - self._noise_from)

    def _drop(self, count):
        left = self._fill - count
        if count and left:
            self._view[:left] = self._view[count : self._fill]
        self._fill = left
        self._offset += count
        self._scan = max(0, self._scan - count)
