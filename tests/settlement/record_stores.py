"""Records for stores, made with other tools than the product's, and the command run on them."""

import hmac
import uuid

import cbor2
import worked
from click.testing import CliRunner

from clsbench.cli.main import cli

A = worked.UUIDS["A"]
START_MS = 1_777_881_600_000  # 2026-05-04T08:00:00Z
KEY = bytes(range(32))


def run(*args):
    """Exit code and what stood on stdout. Raises what the command raises."""
    result = CliRunner().invoke(cli, ["settle", *map(str, args)], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value or 0, result.stdout


def sealed(seq, minute, raw, event=None, previous=bytes(8)):
    """A sealed device record, made with other tools than the device's."""
    at_ms = START_MS + minute * 60_000
    fields = {1: seq, 2: 16 if event else 7, 6: "ETST0020000017", 7: worked.METER}
    if event:
        fields |= {3: uuid.UUID(A).bytes, 4: event, 5: ""}
    fields |= {8: [[bytes((1, 0, 1, 8, 0, 255)), raw, 0, 30]], 9: at_ms, 10: at_ms}
    fields |= {11: [1, 10], 12: 0, 13: previous}
    protected, payload = cbor2.dumps({1: 5}), cbor2.dumps(fields, canonical=True)
    tag = hmac.digest(KEY, cbor2.dumps(["MAC0", protected, b"", payload]), "sha256")
    parts = [protected, {4: b"ETST0020000017"}, payload, tag]
    return cbor2.dumps(cbor2.CBORTag(17, parts), canonical=True)


def gateway_record(profile, seq, minute, raw, event=None, late_ms=0):
    at_ms = START_MS + minute * 60_000
    content = {"smgw_id": "ETST0010000001", "profile_id": profile, "seq": seq, "source": None}
    content |= {"status": "A000000020000000", "time_state": "synchronised", "meter_id": "1EMH"}
    content |= {"values": [{"obis": "1-0:1.8.0*255", "raw": raw, "scaler": -1, "unit": 30}]}
    content["captured_ms"] = at_ms + late_ms
    if event:
        content |= {"type": "taf16", "uuid": A, "event": event, "event_ms": at_ms, "text": ""}
        content["cls_id"] = "ETST0020000017"
    else:
        content |= {"type": "taf7", "due_ms": at_ms}
    return content
