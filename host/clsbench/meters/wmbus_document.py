"""What the device's wireless M-Bus reader makes of telegrams, as plain data for JSON.

Runs on CPython and, as a script, in the device's interpreter: on stdin one byte with the length
of the key (0 or 16), the key, then the telegrams; one JSON text on stdout. Knows no files and
no names, as `mbus_document`. MicroPython subset.
"""

import json
import sys

from dicamm.proto import wmbus
from dicamm.proto.mbus import APPLICATION_ERROR
from dicamm.proto.wmbus_compact import learn
from dicamm.proto.wmbus_link import STRIPPED, read_link

if sys.implementation.name == "micropython":
    from mbus_document import read_records  # pyright: ignore[reportMissingImports]

    from dicamm.drivers.aes import Aes
else:
    from clsbench.meters.aes import Aes
    from clsbench.meters.mbus_document import read_records

_MAX_UNCOUNTED = 10  # bytes behind a telegram that its length field may have left out
_MAX_LENGTH = 256


def document(data, key=None):
    """The telegrams in `data`, one behind the other, and the counts of what was discarded.

    {"frames": [...], "discarded": {reason: number}}. Bytes of which the length field promises
    more than there is are one broken frame. Data in the clear under a header that says
    encrypted is read, and told in `quirks`.
    """
    found = []
    discarded = {}
    offset = 0
    while offset < len(data):
        link, reason = read_link(data[offset:])
        if link is None:
            found.append(_broken(offset, len(data) - offset, reason))
            discarded[reason] = 1
            break
        said = _frame(offset, link, key)
        if said["error"] and _few_left(data, offset + link.length):
            said = _longer(offset, data[offset:], key) or said
        found.append(said)
        offset += said["length"]
    return {"frames": found, "discarded": discarded}


def _few_left(data, end):
    return 0 < len(data) - end <= _MAX_UNCOUNTED


def _longer(offset, data, key):
    """The telegram read to the end of the bytes, past its length field; None: no better."""
    if len(data) > _MAX_LENGTH:
        return None
    link, _ = read_link(bytes((len(data) - 1,)) + data[1:], STRIPPED)
    said = _frame(offset, link, key)
    said["quirks"].append("length_field_too_small")
    return said if said["valid"] else None


def _broken(offset, length, reason):
    return {
        "offset": offset,
        "length": length,
        "valid": False,
        "error": reason,
        "link": None,
        "header": None,
        "records": [],
    }


def _frame(offset, link, key):
    telegram = wmbus.WmbusTelegram(link, Aes(), key, accept_clear=True)
    said = {
        "offset": offset,
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
            learn(inside)
    said["valid"] = not said["error"]
    return said


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


if __name__ == "__main__":
    sent = sys.stdin.buffer.read()
    size = sent[0]
    sys.stdout.write(json.dumps(document(sent[1 + size :], sent[1 : 1 + size] or None)))
