"""Makes records: numbers them, seals them, links them, puts them on flash. One place, so that a
number is given exactly once."""

import hashlib

from dicamm.metering import record

FIRST_PREVIOUS = bytes(8)


class Recorder:
    """journal: store.journal.Journal; mac0: proto.cose.Mac0; identity: (cls_id, meter_id)."""

    def __init__(self, journal, mac0, identity):
        self._journal = journal
        self._mac0 = mac0
        self._identity = identity
        newest = journal.newest_sealed()  # of a number lost to damage, the one before
        self._next = journal.newest + 1
        self._previous = link_of(newest) if newest is not None else FIRST_PREVIOUS

    def taf16(self, event, uuid, reading, text, event_ms):
        """Records a begin, an end or another event of a transaction; durable on return.

        Returns its sequence number. Raises JournalFull, and then no number is used up.
        """
        return self._write(record.TAF16, reading, uuid, event, text, event_ms)

    def taf7(self, reading, due_ms):
        """Records the reading of a quarter hour. As `taf16`."""
        return self._write(record.TAF7, reading, None, None, None, due_ms)

    def _write(self, taf, reading, uuid, event, text, event_ms):
        seq = self._next
        payload = record.encode(
            seq, taf, self._identity, reading, self._previous, uuid, event, text, event_ms
        )
        sealed = self._mac0.seal(payload)
        self._journal.append(seq, taf, sealed)
        self._next = seq + 1
        self._previous = link_of(sealed)
        return seq


def link_of(sealed):
    """The first 8 bytes of SHA-256 of a sealed record."""
    return hashlib.sha256(sealed).digest()[:8]
