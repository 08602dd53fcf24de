"""Which events were recorded already: UUID and kind of event to the record's number.

Pure. Keeps a checksum of each, not the UUID: what it finds is to be compared with the record.
"""

from array import array
from binascii import crc32

from dicamm.metering import record

REMEMBERED = 64  # newest events kept against repeats


class Answered:
    """The newest REMEMBERED events. An event that ends a transaction counts as its end."""

    def __init__(self):
        self._keys = array("I", bytes(4 * REMEMBERED))
        self._seqs = array("I", bytes(4 * REMEMBERED))
        self._at = 0

    def add(self, uuid, event, seq):
        """Remembers a record; the oldest gives way."""
        self._keys[self._at] = _key(uuid, event)
        self._seqs[self._at] = seq
        self._at = (self._at + 1) % REMEMBERED

    def find(self, uuid, event):
        """Number of the newest record that may be of this UUID and kind of event, or 0."""
        key = _key(uuid, event)
        for back in range(1, REMEMBERED + 1):
            index = (self._at - back) % REMEMBERED
            if self._keys[index] == key and self._seqs[index]:
                return self._seqs[index]
        return 0


def _key(uuid, event):
    return crc32(uuid, record.END if event in record.ENDS else event)
