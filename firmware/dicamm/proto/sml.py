"""Meter telegrams (SML) from received bytes: the receiver and its events.

Knows bytes and what they say, no port, no clock. Frames are cut by `sml_transport`, read by
`sml_message`, known wrong senders put right by `sml_quirks`.
"""

from dicamm.proto.sml_message import SmlFrame, read_messages
from dicamm.proto.sml_transport import MAX_FRAME, SmlTransport

MAX_EVENTS = 256  # waiting for next_event(); further ones are only counted, as "not fetched"

# event kinds
FRAME = 1  # data: SmlFrame
DISCARD = 2  # data: reason


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
    """

    def __init__(self, max_frame=MAX_FRAME):
        super().__init__(max_frame)
        self.discarded = {}
        self._events = []

    def next_event(self):
        """The oldest event, or None when more bytes are needed."""
        return self._events.pop(0) if self._events else None

    def _on_frame(self, start, end, length, crc):
        frame = SmlFrame(self._offset, length, crc)
        if crc == "kermit":
            frame.note("transport_crc_kermit")
        if self._literals:
            frame.note("literal_escape")
        if length % 4:
            frame.note("frame_length_not_multiple_of_4")
        read_messages(self._buffer, start, end, frame, self._refuser(length))
        self._put(Event(FRAME, frame, frame.offset, length))

    def _refuser(self, length):
        return lambda reason: self._on_discard(reason, self._offset, length)

    def _on_discard(self, reason, offset, length):
        self._count(reason)
        self._put(Event(DISCARD, reason, offset, length))

    def _put(self, event):
        if len(self._events) < MAX_EVENTS:
            self._events.append(event)
        else:
            self._count("not fetched")

    def _count(self, reason):
        self.discarded[reason] = self.discarded.get(reason, 0) + 1


def read_payload(data):
    """Reads SML messages that come without transport (as some readers hand them on).

    data: bytes. Returns (SmlFrame, reasons): offset 0, crc None, and a list with the reason
    of every message refused.
    """
    frame = SmlFrame(0, len(data), None)
    frame.note("payload_without_transport")
    reasons = []
    read_messages(data, 0, len(data), frame, reasons.append)
    return frame, reasons
