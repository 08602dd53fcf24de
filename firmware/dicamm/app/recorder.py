"""Makes records: numbers them, seals them, links them, puts them on flash. One place, so that a
number is given exactly once."""

import hashlib

from dicamm.metering import record
from dicamm.proto import cbor, cose

FIRST_PREVIOUS = bytes(8)


class Recorder:
    """journal: store.journal.Journal; mac0: proto.cose.Mac0; identity: (cls_id, meter_id);
    legal_time: tells whether the clock was stepped between two records."""

    def __init__(self, journal, mac0, identity, legal_time):
        self._journal = journal
        self._mac0 = mac0
        self._identity = identity
        self._time = legal_time
        self._steps = 0
        self._latest_ms = 0  # the record before was surely captured not earlier
        newest = journal.newest_sealed()  # of a number lost to damage, the one before
        self._next = journal.newest + 1
        self._previous = link_of(newest) if newest is not None else FIRST_PREVIOUS
        fields = self.fields(journal.newest) or {}
        if record.CAPTURED_MS in fields:
            self._latest_ms = fields[record.CAPTURED_MS] - fields[record.TIME_STATE][1]

    def taf16(self, event, uuid, reading, text, event_ms, cause=0):
        """Records a begin, an end or another event of a transaction; durable on return.

        Returns its sequence number. Raises JournalFull, and then no number is used up.
        """
        return self._write(record.TAF16, reading, uuid, event, text, event_ms, None, cause)

    def taf7(self, reading, due_ms, first_due_ms=None, cause=0):
        """Records the reading of a quarter hour, or, with a reading without values, that there is
        none, for all of them from first_due_ms to due_ms. As `taf16`."""
        return self._write(record.TAF7, reading, None, None, None, due_ms, first_due_ms, cause)

    def fields(self, seq):
        """What record `seq` says (keys of `metering.record`), or None where it is not here or its
        seal does not hold."""
        sealed = self._journal.read(seq)
        if sealed is None:
            return None
        try:
            return cbor.decode(self._mac0.open(sealed))
        except (cose.CoseError, cbor.CborError):
            return None

    def _write(self, taf, reading, *fields):
        seq = self._next
        captured_ms, bound_ms = reading.captured_ms, reading.bound_ms
        known = captured_ms is not None
        back = known and captured_ms + bound_ms < self._latest_ms
        if back or self._steps != self._time.steps:
            reading.status |= record.STEPPED
        payload = record.encode(seq, taf, self._identity, reading, self._previous, *fields)
        sealed = self._mac0.seal(payload)
        self._journal.append(seq, taf, sealed)
        self._next = seq + 1
        self._previous = self._journal.link()
        self._steps = self._time.steps
        if known:
            self._latest_ms = captured_ms - bound_ms
        return seq


def link_of(sealed):
    """The first 8 bytes of SHA-256 of a sealed record."""
    return hashlib.sha256(sealed).digest()[:8]
