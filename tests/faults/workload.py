"""Sealed records as the firmware makes them, linked one to the other. For both interpreters."""

import hashlib

from dicamm.metering import record
from dicamm.metering.reading import Reading
from dicamm.proto.cose import Mac0

IDENTITY = ("ETST0020000017", "1EAS0012345678")
KEY = bytes(range(32))
START_MS = 1795000000000


def link_of(sealed):
    """The first 8 bytes of SHA-256."""
    return hashlib.sha256(sealed).digest()[:8]


class Records:
    """Makes the record that follows `previous` under a number. rng: nor_model.Rng."""

    def __init__(self, rng, values=1):
        self._rng = rng
        self._mac0 = Mac0(KEY, b"ETST0020000017")
        self._values = values
        self._raw = 8391648

    def make(self, seq, kind, previous, text=None):
        """(kind, sealed). previous: the sealed record before, or None. text: of a TAF16 record,
        None: of random length."""
        rng = self._rng
        self._raw += rng.below(300)
        values = []
        for index in range(self._values):
            values.append((bytes((1, 0, 1 + index, 8, 0, 255)), self._raw + index, -2, 30))
        due_ms = START_MS + seq * 440000
        bound_ms = 40 + rng.below(400)
        reading = Reading(values, due_ms + rng.below(900), 0, 0, 1, bound_ms)
        link = link_of(previous) if previous else bytes(8)
        if kind == 7:
            payload = record.encode(seq, 7, IDENTITY, reading, link, None, None, None, due_ms)
        else:
            if text is None:
                text = "pool west, order 4711 of the day ahead, quarter hour 37"[: rng.below(48)]
            uuid = rng.bytes(16)
            event = record.BEGIN + rng.below(2)
            payload = record.encode(seq, 16, IDENTITY, reading, link, uuid, event, text, due_ms)
        return kind, self._mac0.seal(payload)

    def strange(self, size):
        """Bytes of no form, which cannot be packed."""
        return 16, self._rng.bytes(size)
