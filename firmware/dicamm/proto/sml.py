"""Meter telegrams (SML) from received bytes: the receiver and its events.

Knows bytes and what they say, no port, no clock. Frames are cut by `sml_transport`, read by
`sml_pool` where there is machine code for it and by `sml_message` elsewhere, known wrong senders
put right by `sml_quirks`.
"""

from array import array

from dicamm.proto.sml_entry import (
    LENGTH_NOT_MULTIPLE_OF_4,
    LITERAL_ESCAPE,
    PAYLOAD_WITHOUT_TRANSPORT,
    TRANSPORT_CRC_KERMIT,
    SmlFrame,
)
from dicamm.proto.sml_loops import VIPER
from dicamm.proto.sml_transport import MAX_FRAME, SmlTransport

SmlPool = None
if VIPER:
    from dicamm.proto.sml_pool import SmlPool

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


# of sml_state
_START = const(4)
_FILL = const(6)
_LITERALS = const(9)
_HELD = const(12)
_TRANSPORT_KERMIT = const(28)

MAX_EVENTS = 32  # waiting for next_event(); further ones are only counted, as "not fetched"

# event kinds
FRAME = 1  # data: SmlFrame
DISCARD = 2  # data: reason

REASONS = (
    "noise",
    "restart",
    "cut off",
    "escape",
    "fill",
    "crc",
    "too long",
    "structure",
    "message crc",
    "content",
    "object name",
    "not fetched",
)
_A_FRAME = 255  # in place of a reason


class Event:
    """kind and data as above; offset and length: the bytes of the stream it speaks of."""

    def __init__(self, kind, data, offset, length):
        self.kind = kind
        self.data = data
        self.offset = offset
        self.length = length


class SmlReceiver(SmlTransport):
    """Turns received bytes, in any chunking, into events.

    Total: every input yields events, never an exception. Memory is bounded by `max_frame`
    and MAX_EVENTS. Counts what it threw away in `discarded` (reason -> number):
    "noise" (a run of bytes between frames), "restart" (a start came before the end),
    "cut off" (`finish`), "escape", "fill", "crc", "too long" for frames; "structure",
    "message crc", "content" for messages and "object name" for entries inside a good frame,
    whose event then follows the discards.

    With machine code nothing is allocated in `feed` as long as a frame's end is fed and its
    event fetched before the next bytes, and next to nothing in `next_event`: the event, its
    frame and entries are the same objects every time and hold until the next `feed`;
    `SmlFrame.copy` lasts.
    """

    def __init__(self, max_frame=MAX_FRAME):
        super().__init__(max_frame)
        self._counts = array("i", [0] * len(REASONS))
        self._waiting = bytearray(MAX_EVENTS)  # reasons, oldest first from _first on
        self._places = array("q", [0] * (2 * MAX_EVENTS))  # offset and length of each
        self._frames = []  # those of _A_FRAME in _waiting
        self._first = 0
        self._number = 0
        self._pool = SmlPool(self._home, Event(FRAME, None, 0, 0)) if SmlPool else None
        self._read = None if self._pool is None else self._pool.read

    @property
    def discarded(self):
        """Reason -> number of everything thrown away so far."""
        return {reason: n for reason, n in zip(REASONS, self._counts) if n}

    def next_event(self):
        """The oldest event, or None when more bytes are needed."""
        if self._number:
            return self._fetch()
        state = self._state
        if not state[_HELD]:
            return None
        if self._read is not None:
            event = self._read(self._seen + state[_START])
            if event is not None:
                state[_HELD] = 0
                self._noise_from = event.offset + event.length
                return event
        frame = self._read_any()
        if not self._number:
            return Event(FRAME, frame, frame.offset, frame.length)
        self._put(_A_FRAME, frame.offset, frame.length, frame)  # behind what it refused
        return self._fetch()

    def _fetch(self):
        at = self._first
        self._first = (at + 1) % MAX_EVENTS
        self._number -= 1
        offset, length = self._places[2 * at], self._places[2 * at + 1]
        if self._waiting[at] == _A_FRAME:
            return Event(FRAME, self._frames.pop(0), offset, length)
        return Event(DISCARD, REASONS[self._waiting[at]], offset, length)

    def _keep(self):
        pool = self._pool
        if pool is None or pool.read(self._seen + self._state[_START]) is None:
            frame = self._read_any()
        else:
            self._release()
            frame = pool.frame.copy()
        self._put(_A_FRAME, frame.offset, frame.length, frame)

    def _progress(self):
        if self._pool is not None:
            self._pool.progress()

    def _read_any(self):
        """The held frame as SmlFrame, whatever its form."""
        state = self._state
        crc = "kermit" if state[_TRANSPORT_KERMIT] else "x25"
        length = state[_FILL]
        data = self._unescaped()
        frame = SmlFrame(self._release(), length, crc)
        if crc == "kermit":
            frame.note(TRANSPORT_CRC_KERMIT)
        if state[_LITERALS]:
            frame.note(LITERAL_ESCAPE)
        if length % 4:
            frame.note(LENGTH_NOT_MULTIPLE_OF_4)
        _read_messages(data, frame, lambda reason: self._discard(reason, frame.offset, length))
        return frame

    def _discard(self, reason, offset, length):
        code = REASONS.index(reason)
        self._counts[code] += 1
        self._put(code, offset, length, None)

    def _put(self, code, offset, length, frame):
        if self._number == MAX_EVENTS:
            self._counts[-1] += 1
            return
        at = (self._first + self._number) % MAX_EVENTS
        self._number += 1
        self._waiting[at] = code
        self._places[2 * at] = offset
        self._places[2 * at + 1] = length
        if frame is not None:
            self._frames.append(frame)


def _read_messages(data, frame, refuse):
    from dicamm.proto.sml_message import read_messages  # where there is machine code, rarely used

    read_messages(data, frame, refuse)


def read_payload(data):
    """Reads SML messages that come without transport (as some readers hand them on).

    data: bytes. Returns (SmlFrame, reasons): offset 0, crc None, and a list with the reason
    of every message refused.
    """
    frame = SmlFrame(0, len(data), None)
    frame.note(PAYLOAD_WITHOUT_TRANSPORT)
    reasons = []
    _read_messages(bytes(data), frame, reasons.append)
    return frame, reasons
