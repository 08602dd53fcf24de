"""What is wrong between meter and reader, told from the received bytes alone.

Knows the bytes of a line that should carry SML, and what its receivers make of them; no port, no
clock, no words for people.
"""

from dicamm.proto.d0 import READOUT, D0Receiver
from dicamm.proto.sml import FRAME, SmlReceiver
from dicamm.proto.sml_transport import MAX_FRAME

# findings, as `LineDiagnosis.findings` names them
NO_BYTES = "no bytes"
ONE_BYTE_VALUE = "always the same byte"
NO_START = "no start"
TEXT = "text readouts"
TEXT_BROKEN = "text without whole readouts"
BAD_CHECKSUMS = "bad checksums"
LOST_BYTES = "lost bytes"
BAD_MESSAGES = "bad messages"
PIN_MISSING = "pin missing"

_LOST = ("restart", "escape", "too long", "fill")
_IN_FRAME = ("structure", "message crc", "content", "object name")
_ENOUGH = 32  # bytes, before the absence of a start says something
_TEXT_PERCENT = 90
_KWH = 1000
_WH = 30  # DLMS unit code


class LineDiagnosis:
    """Takes all bytes of a line and says what they show.

    max_frame: as of SmlReceiver. received: bytes so far. frames: good SML telegrams. readouts:
    good D0 readouts.
    """

    def __init__(self, max_frame=MAX_FRAME):
        self.received = 0
        self.frames = 0
        self.readouts = 0
        self._sml = SmlReceiver(max_frame)
        self._d0 = D0Receiver()
        self._first = -1
        self._various = False
        self._printable = 0
        self._coarse = 0  # telegrams whose energy is in whole kWh, and without power

    def feed(self, data):
        """Takes received bytes, in any chunking."""
        self._count(data)
        for at in range(0, len(data), _ENOUGH):
            part = data[at : at + _ENOUGH]
            self._sml.feed(part)
            self._d0.feed(part)
            self._fetch()

    def finish(self):
        """Declares the end of the input."""
        self._sml.finish()
        self._d0.finish()
        self._fetch()

    def findings(self):
        """List of (finding, number): the most telling first, empty where all is well.

        number: of bytes for the first five, of telegrams or what they lost for the others.
        """
        found = self._silence() or self._text() or []
        lost = self._sml.discarded
        if not self.frames and not found and self.received >= _ENOUGH and not self._started(lost):
            found.append((NO_START, self.received))
        for finding, reasons in (
            (BAD_CHECKSUMS, ("crc",)),
            (LOST_BYTES, _LOST),
            (BAD_MESSAGES, _IN_FRAME),
        ):
            number = sum(lost.get(reason, 0) for reason in reasons)
            if number:
                found.append((finding, number))
        if self._coarse:
            found.append((PIN_MISSING, self._coarse))
        return found

    def _count(self, data):
        self.received += len(data)
        for byte in data:
            if self._first < 0:
                self._first = byte
            self._various = self._various or byte != self._first
            plain = byte & 0x7F
            if 0x20 <= plain < 0x7F or plain in (0x0A, 0x0D):
                self._printable += 1

    def _fetch(self):
        for receiver in (self._sml, self._d0):
            while True:
                event = receiver.next_event()
                if event is None:
                    break
                if receiver is self._d0:
                    self.readouts += event.kind == READOUT
                elif event.kind == FRAME:
                    self.frames += 1
                    self._coarse += is_coarse(event.data.entries)

    def _silence(self):
        if not self.received:
            return [(NO_BYTES, 0)]
        if not self._various and self.received >= _ENOUGH:
            return [(ONE_BYTE_VALUE, self.received)]
        return None

    def _text(self):
        if self.frames:
            return None
        if self.readouts:
            return [(TEXT, self.received)]
        if self.received >= _ENOUGH and 100 * self._printable >= _TEXT_PERCENT * self.received:
            return [(TEXT_BROKEN, self.received)]
        return None

    def _started(self, lost):
        return any(lost.get(reason) for reason in _LOST + ("crc", "cut off"))


def is_coarse(entries):
    """Whether a value list shows energy in whole kWh only, and no power: a PIN is missing.

    entries: list of SmlEntry. Base meters (mME) show the full resolution and the power only
    after the PIN of their owner has been entered (FNN Lastenheft Basiszaehler).
    """
    seen = False
    for entry in entries:
        kind = entry.obis[2:4]
        if kind == b"\x10\x07":  # 16.7, the power
            return False
        number = isinstance(entry.raw, int) and not isinstance(entry.raw, bool)
        if number and entry.unit == _WH and kind[1] == 8:
            scaler = entry.scaler or 0
            if not _is_whole_kwh(entry.raw, scaler):
                return False
            seen = seen or entry.raw != 0 or scaler >= 3
    return seen


def _is_whole_kwh(raw, scaler):
    return scaler >= 3 or raw * 10 ** max(scaler, 0) % (_KWH * 10 ** max(-scaler, 0)) == 0
