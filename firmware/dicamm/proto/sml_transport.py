"""Transport frames of SML, version 1: start, escapes, fill bytes, checksum.

Knows where a telegram begins and ends and whether its checksum is good, nothing of what it
says. A frame is `1b1b1b1b 01010101`, data, 0..3 fill bytes, `1b1b1b1b 1a` number of fill
bytes, CRC over all before it; `1b1b1b1b` inside the data is sent twice (SML 1.05, chapter
8). The CRC is X-25 low byte first; some Holley DTZ541 send CRC-16/KERMIT high byte first.
Bytes get lost on a real line: every start sequence begins anew, also inside a frame, and the
bytes of a bad frame are searched once more for one.
"""

from array import array

from dicamm.proto.sml_loops import TABLES, crc16_kermit, skim, take

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


# of sml_state
_SIZE = const(39)
_WHY = const(0)
_IN_FRAME = const(1)
_MATCHED = const(2)
_CLEAN = const(3)
_START = const(4)
_SHIFT = const(5)
_FILL = const(6)
_CRC = const(8)
_LITERALS = const(9)
_END = const(10)
_LIMIT = const(11)
_HELD = const(12)
_TRANSPORT_KERMIT = const(28)
_BEGUN = const(1)
_ENDED_ODD = const(2)
_RESTART = const(3)
_FULL = const(5)
_HOME_STATE = const(0)
_HOME_FRAME = const(1)
_HOME_TABLES = const(2)
_HOME_SKIM = const(14)
_HOME_SIZE = const(16)
_GOOD_CRC = const(0xF0B8)

MAX_FRAME = 4096

# reasons a frame is discarded for; besides, "noise" is a run of bytes between frames
FRAME_DISCARDS = ("restart", "escape", "too long", "crc", "fill", "cut off")

_ESCAPE = b"\x1b\x1b\x1b\x1b"
_START_SIZE = 8
_MAX_FILL = 3
_QUIET = -1  # bytes up to the next start belong to a frame already discarded


class SmlTransport:
    """Cuts a stream of bytes, in any chunking, into frames, one held at a time.

    Total and bounded: one buffer of `max_frame` bytes, made once, which holds a frame as it is
    on the line; a longer one is discarded. Nothing is allocated. Subclasses have the hooks
    `_keep` (another frame will need the buffer), `_progress` (more of a frame is there) and
    `_discard`.
    """

    def __init__(self, max_frame=MAX_FRAME):
        if not 32 <= max_frame <= 0xFFFF:
            raise ValueError("max_frame not 32 to 65535")
        self._state = array("i", [0] * _SIZE)  # see sml_state
        self._state[_LIMIT] = max_frame
        self._state[_CLEAN] = 1
        self._frame = bytearray(max_frame + 1)  # a loop may look at the byte behind the last
        home: list = [None] * _HOME_SIZE
        home[_HOME_STATE] = self._state
        home[_HOME_FRAME] = self._frame
        home[_HOME_TABLES] = TABLES
        home[_HOME_SKIM] = skim
        self._home = home
        self._seen = 0  # bytes of the stream before those being taken
        self._noise_from = 0  # first byte of the stream that belongs to no frame

    def feed(self, data):
        """Takes received bytes (bytes, bytearray or memoryview of bytes)."""
        state = self._state
        end = len(data)
        at = 0
        while at < end:
            if state[_HELD]:
                self._keep()
            at = take(at, end, 0, data, self._home)
            if state[_WHY] and self._stopped():
                self._search_again(at)
        self._seen += end
        if state[_HELD]:
            state[_START] -= end
        elif state[_IN_FRAME]:
            state[_START] -= end
            self._progress()

    def finish(self):
        """Declares the end of the input: what is begun is discarded as "cut off"."""
        if self._state[_HELD]:
            self._keep()
        while self._state[_IN_FRAME]:
            self._fail("cut off")
            self._search_again(0)
        if self._state[_HELD]:
            self._keep()
        self._noise_until(self._seen)
        self._noise_from = self._seen
        self._state[_MATCHED] = 0
        self._state[_CLEAN] = 1

    def _keep(self):
        """Takes the held frame out of the buffer with `_release`."""
        raise NotImplementedError

    def _progress(self):
        """More bytes of an unfinished frame are in the buffer."""
        raise NotImplementedError

    def _discard(self, reason, offset, length):
        """Bytes thrown away: reason, place in the stream, number."""
        raise NotImplementedError

    def _stopped(self):
        """Deals with state[WHY]; whether the frame failed."""
        state = self._state
        why = state[_WHY]
        if why == _BEGUN:
            self._noise_until(self._seen + state[_START])
        elif why == _RESTART:
            length = state[_FILL] - _START_SIZE
            self._discard("restart", self._seen + state[_START], length)
            self._begin_again(length)
        elif why == _ENDED_ODD:
            return self._judge_end()
        else:
            self._fail("too long" if why == _FULL else "escape")
            return True
        return False

    def _begin_again(self, place):
        """Begins a frame with the start sequence at `place` in the buffer."""
        state = self._state
        shift = state[_SHIFT]
        state[_IN_FRAME] = state[_MATCHED] = 0
        state[_CLEAN] = 1
        state[_SHIFT] = state[_START]
        take(place, place + _START_SIZE, 0, self._frame, self._home)
        state[_SHIFT] = shift

    def _judge_end(self):
        state, frame = self._state, self._frame
        size = state[_FILL]
        if state[_CRC] != _GOOD_CRC:
            stored = frame[size - 2] << 8 | frame[size - 1]
            if crc16_kermit(frame, 0, size - 2) != stored:
                self._fail("crc")
                return True
            state[_TRANSPORT_KERMIT] = 1
        if frame[size - 3] > _MAX_FILL or state[_END] < _START_SIZE:
            self._fail("fill")
            return True
        state[_IN_FRAME] = 0
        state[_CLEAN] = state[_HELD] = 1
        return False

    def _release(self):
        """The place in the stream of the held frame, which must have been read by now."""
        offset = self._seen + self._state[_START]
        self._state[_HELD] = 0
        self._noise_from = offset + self._state[_FILL]
        return offset

    def _fail(self, reason):
        """Gives the frame up; a start that byte loss hid inside it may be found again."""
        state = self._state
        offset = self._seen + state[_START]
        self._discard(reason, offset, state[_FILL])
        ended = reason in ("crc", "fill")
        self._noise_from = offset + state[_FILL] if ended else _QUIET
        state[_IN_FRAME] = state[_MATCHED] = state[_CLEAN] = 0

    def _search_again(self, at):
        """Takes the bytes of a failed frame once more, all but the first; `at` is behind them."""
        state = self._state
        place = 1
        end = state[_FILL]
        shift = at - end
        while place < end:
            if state[_HELD]:
                self._keep()
            state[_SHIFT] = shift
            place = take(place, end, 0, self._frame, self._home)
            if state[_WHY] and self._stopped():
                place = self._put_before(place)
        state[_SHIFT] = 0

    def _put_before(self, place):
        """Moves the bytes of the failed frame, all but the first, to end at `place`."""
        frame = self._frame
        index = self._state[_FILL] - 1
        while index > 0:
            place -= 1
            frame[place] = frame[index]
            index -= 1
        return place

    def _noise_until(self, offset):
        if _QUIET < self._noise_from < offset:
            self._discard("noise", self._noise_from, offset - self._noise_from)

    def _unescaped(self):
        """The messages of the held frame as bytes."""
        data = bytes(self._frame[_START_SIZE : self._state[_END]])
        return data.replace(_ESCAPE + _ESCAPE, _ESCAPE) if self._state[_LITERALS] else data
