"""Record files for the tests of `clsbench verify`, made with cbor2, hmac and hashlib alone."""

import hashlib
import hmac
import json
from pathlib import Path

import cbor2
from click.testing import CliRunner

from clsbench.cli.verify import verify

KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))
DEVICE = b"ETST0020000017"
UUID = bytes.fromhex("0190c0de00007000800000000000000a")
IMPORT = bytes.fromhex("0100010800ff")  # 1-0:1.8.0*255
START_MS = 1_777_881_600_000


def seal(fields: dict, key: bytes = KEY, kid: bytes = DEVICE) -> bytes:
    """COSE_Mac0 with HMAC 256/256, written out after RFC 9052 section 6.2."""
    protected, payload = bytes.fromhex("a10105"), cbor2.dumps(fields, canonical=True)
    covered = cbor2.dumps(["MAC0", protected, b"", payload])
    mac = hmac.new(key, covered, hashlib.sha256).digest()
    return cbor2.dumps(cbor2.CBORTag(17, [protected, {4: kid}, payload, mac]), canonical=True)


def fields_of(seq: int, previous: bytes, **changed) -> dict:
    """Record 1 tells of a start; then each two records are a transaction."""
    fields = {
        1: seq,
        2: 16,
        3: UUID[:-1] + bytes([seq // 2]),
        4: 8 if seq == 1 else 2 if seq % 2 else 1,
        6: "ETST0020000017",
        7: "1EAS0012345678",
        8: [[IMPORT, 123_456 + seq, 1, 30]],
        9: START_MS + seq * 1000,
        11: [1, 20],
        12: 0,
        13: previous,
    }
    return fields | {int(name[1:]): value for name, value in changed.items()}


def chain(count: int, key: bytes = KEY, kid: bytes = DEVICE, first: int = 1) -> list[bytes]:
    records, previous = [], bytes(8)
    for seq in range(1, first + count):
        records.append(seal(fields_of(seq, previous, _6=kid.decode()), key, kid))
        previous = hashlib.sha256(records[-1]).digest()[:8]
    return records[first - 1 :]


class Folder:
    """Files for one run of the command, and the run."""

    def __init__(self, path: Path):
        self.path = path
        self.records = path / "records"
        self.records.mkdir()
        (path / "key").write_bytes(KEY)
        self.options = ["--key", str(path / "key")]

    def write(self, records: list[bytes], first: int = 1) -> None:
        for seq, sealed in enumerate(records, first):
            (self.records / f"{seq:06d}-taf16.cbor").write_bytes(sealed)

    def change(self, seq: int, change) -> None:
        path = self.records / f"{seq:06d}-taf16.cbor"
        path.write_bytes(change(path.read_bytes()))

    def run(self, *more: str, code: int) -> dict:
        done = CliRunner().invoke(
            verify, [str(self.records), *self.options, *more, "--json"], standalone_mode=False
        )
        assert done.exception is None, done.exception
        assert done.return_value == code, done.output
        document = json.loads(done.stdout)
        assert document["ok"] is (code == 0) is (not document["findings"])
        return document


def found(document: dict, kind: str) -> dict:
    """The only finding of a kind, as the document names its place."""
    one = [each for each in document["found"] if each["kind"] == kind]
    assert len(one) == 1, document["found"]
    return one[0]


def only_finding(document: dict) -> str:
    assert len(document["findings"]) == 1, document["findings"]
    return document["findings"][0]


def faulty(document: dict) -> list[str]:
    return [Path(each["file"]).name for each in document["files"] if not each["ok"]]
