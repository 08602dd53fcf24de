"""What the device's wireless M-Bus reader makes of telegrams, as plain data for JSON.

Runs on CPython and, as a script, in the device's interpreter: on stdin one byte with the length
of the key (0 or 16), the key, then pieces of bytes, each behind two bytes with its length, the
greater first; one JSON text on stdout. Knows no files and no names, as `mbus_document`.
MicroPython subset.
"""

import json
import sys

from dicamm.proto import wmbus
from dicamm.proto.mbus import APPLICATION_ERROR
from dicamm.proto.wmbus_compact import CompactFormats
from dicamm.proto.wmbus_counters import Counters
from dicamm.proto.wmbus_fragments import Fragments
from dicamm.proto.wmbus_link import STRIPPED, read_link

if sys.implementation.name == "micropython":
    from mbus_document import read_records  # pyright: ignore[reportMissingImports]

    from dicamm.drivers.aes import Aes
else:
    from clsbench.meters.aes import Aes
    from clsbench.meters.mbus_document import read_records

# the message counter is not above the last one: sent or recorded twice, a device refuses it
COUNTER_NOT_RISING = "counter_not_rising"

_MAX_UNCOUNTED = 10  # bytes behind a telegram that its length field may have left out
_MAX_LENGTH = 256
_MAX_PIECE = 0xFFFF


def document(pieces, key=None):
    """The telegrams in `pieces` (list of bytes), and the counts of what was discarded.

    {"frames": [...], "discarded": {reason: number}}. A piece holds one telegram or several;
    offsets count through all pieces. Bytes of which the length field promises more than
    there is are one broken frame. Data in the clear under a header that says encrypted is
    read, and told in `quirks`; so are compact frames whose format an earlier one told, and a
    telegram of which the counter is not above the one before of that meter.
    """
    return WmbusReader(key).document(pieces)


class WmbusReader:
    """What must be remembered from telegram to telegram: formats, counters, fragments."""

    def __init__(self, key=None):
        self._key = key
        self._formats = CompactFormats()
        self._counters = Counters()
        self._fragments = Fragments()

    def document(self, pieces):
        """As `document`, of further pieces."""
        found = []
        discarded = {}
        begin = 0
        for data in pieces:
            at = 0
            while at < len(data):
                said = self._next(data[at:])
                if said["link"] is None:
                    discarded[said["error"]] = discarded.get(said["error"], 0) + 1
                said["offset"] = begin + at
                found.append(said)
                at += said["length"]
            begin += len(data)
        return {"frames": found, "discarded": discarded}

    def _next(self, data):
        link, reason = read_link(data)
        if link is None:
            return _broken(len(data), reason)
        said = self._frame(link)
        if said["error"] and 0 < len(data) - link.length <= _MAX_UNCOUNTED:
            return self._longer(data) or said
        return said

    def _longer(self, data):
        """The telegram read to the end of the bytes, past its length field; None: no better."""
        if len(data) > _MAX_LENGTH:
            return None
        link, _ = read_link(bytes((len(data) - 1,)) + data[1:], STRIPPED)
        said = self._frame(link)
        said["quirks"].append("length_field_too_small")
        return said if said["valid"] else None

    def _open(self, link, counters):
        return wmbus.WmbusTelegram(
            link,
            Aes(),
            self._key,
            accept_clear=True,
            formats=self._formats,
            counters=counters,
            fragments=self._fragments,
        )

    def _open_any(self, link):
        """The telegram; one that came before, which a device refuses, is opened and told."""
        telegram = self._open(link, self._counters)
        if telegram.error != wmbus.OLD_COUNTER:
            return telegram
        again = self._open(link, None)
        if again.error:
            return telegram
        again.quirks.append(COUNTER_NOT_RISING)
        return again

    def _frame(self, link):
        telegram = self._open_any(link)
        said = {
            "length": link.length,
            "error": telegram.error,
            "link": _link(link),
            "header": _header(telegram),
            "mode": telegram.mode,
            "counter": telegram.counter,
            "authentic": telegram.authentic,
            "quirks": telegram.quirks,
            "code": None,
            "more": False,
            "records": [],
        }
        inside = telegram.telegram
        if inside and not said["error"] and inside.kind == APPLICATION_ERROR:
            said["error"] = "application error"
            said["code"] = inside.code
        records = telegram.records()
        if records is not None:
            read_records(records, said)
            if not said["error"]:
                self._formats.learn(inside)
        said["valid"] = not said["error"]
        return said


def _broken(length, reason):
    return {
        "length": length,
        "valid": False,
        "error": reason,
        "link": None,
        "header": None,
        "records": [],
    }


def _link(link):
    return {
        "form": link.form,
        "control": link.control,
        "identification": link.identification.hex(),
        "manufacturer": link.manufacturer,
        "version": link.version,
        "medium": link.medium,
    }


def _header(telegram):
    address = telegram.address
    inside = telegram.telegram
    return {
        "identification": address[2:6].hex(),
        "manufacturer": address[0] | address[1] << 8,
        "version": address[6],
        "medium": address[7],
        "ci": inside and inside.ci,
        "access": telegram.access,
        "status": inside and inside.status,
        "signature": inside and inside.signature,
    }


def packed(pieces, key):
    """What the script awaits on stdin. Pieces of 64 KiB and more are cut."""
    out = bytes((len(key),)) + key
    for piece in pieces:
        for at in range(0, len(piece), _MAX_PIECE):
            part = piece[at : at + _MAX_PIECE]
            out += bytes((len(part) >> 8, len(part) & 0xFF)) + part
    return out


if __name__ == "__main__":
    sent = sys.stdin.buffer.read()
    size = sent[0]
    at = 1 + size
    pieces = []
    while at + 2 <= len(sent):
        end = at + 2 + (sent[at] << 8 | sent[at + 1])
        pieces.append(sent[at + 2 : end])
        at = end
    sys.stdout.write(json.dumps(document(pieces, sent[1 : 1 + size] or None)))
