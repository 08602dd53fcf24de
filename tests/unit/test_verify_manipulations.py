"""One test for each kind of manipulation that `clsbench verify` names: kind, device, number, file
and offset. The records of a device lie in a row in one file, as it delivers them."""

import hashlib
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cbor2
import pytest
from verify_kit import (
    IMPORT,
    KEY,
    OTHER_KEY,
    START_MS,
    Folder,
    chain,
    fields_of,
    found,
    seal,
)

from clsbench.pki.layout import Pki
from clsbench.smgw.core.cms import sign

DEVICE = "ETST0020000017"
OTHER = b"ETST0020000018"
SMGW = "ETST0010000001"
QUARTER_MS = 900_000


def row(folder: Path, records: list[bytes]) -> Folder:
    """A folder with `records` in one file."""
    made = Folder(folder)
    (made.records / "all.cbor").write_bytes(b"".join(records))
    return made


def relinked(*changes: dict) -> list[bytes]:
    """Records 1, 2, … with the fields changed, links and seals made for what they then say."""
    records, previous = [], bytes(8)
    for seq, changed in enumerate(changes, 1):
        records.append(seal(fields_of(seq, previous) | changed))
        previous = hashlib.sha256(records[-1]).digest()[:8]
    return records


def named(document: dict, kind: str, seq: int | None, offset: int, device=DEVICE) -> None:
    """The one finding of this kind stands at this record."""
    one = found(document, kind)
    assert (one["device"], one["seq"], one["offset"]) == (device, seq, offset), one
    assert one["file"].endswith("all.cbor")


def offset_of(records: list[bytes], index: int) -> int:
    return sum(map(len, records[:index]))


def test_records_in_a_row_hold(tmp_path: Path):
    document = row(tmp_path, chain(9)).run(code=0)
    assert "9 records" in document["files"][0]["detail"] and document["found"] == []


# device records


def test_missing_record(tmp_path: Path):
    records = chain(9)
    del records[4]
    named(row(tmp_path, records).run(code=1), "gap", 6, offset_of(records, 4))


def test_second_record_under_a_number(tmp_path: Path):
    records = chain(5)
    records.append(seal(fields_of(5, b"12345678")))
    document = row(tmp_path, records).run(code=1)
    named(document, "fork", 5, offset_of(records, 5))
    named(document, "link", 5, offset_of(records, 5))


def test_repeated_record(tmp_path: Path):
    records = chain(5)
    records.insert(3, records[2])
    named(row(tmp_path, records).run(code=1), "repeat", 3, offset_of(records, 3))


def test_altered_value(tmp_path: Path):
    records = chain(5)
    records[2] = records[2].replace(cbor2.dumps(123_459), cbor2.dumps(123_458))
    named(row(tmp_path, records).run(code=1), "altered", 3, offset_of(records, 2))


def test_altered_first_record_is_told_as_well(tmp_path: Path):
    records = chain(5)
    records[0] = records[0].replace(cbor2.dumps(123_457), cbor2.dumps(123_458))
    named(row(tmp_path, records).run(code=1), "altered", 1, 0)


def test_sealed_with_another_key(tmp_path: Path):
    document = row(tmp_path, chain(1, OTHER_KEY)).run(code=1)
    named(document, "wrong-key", 1, 0)
    assert "claims to be record 1" in document["findings"][0]


def test_capture_time_that_runs_back(tmp_path: Path):
    records = relinked({}, {}, {9: START_MS})
    named(row(tmp_path, records).run(code=1), "time", 3, offset_of(records, 2))


def test_capture_time_behind_a_clock_that_the_record_says_was_set_is_no_finding(tmp_path: Path):
    row(tmp_path, relinked({}, {}, {9: START_MS, 12: 2})).run(code=0)


def test_link_to_another_record(tmp_path: Path):
    records = chain(3)
    records[2] = seal(fields_of(3, hashlib.sha256(b"other").digest()[:8]))
    named(row(tmp_path, records).run(code=1), "link", 3, offset_of(records, 2))


def test_records_in_another_order(tmp_path: Path):
    records = chain(5)
    records[2], records[3] = records[3], records[2]
    named(row(tmp_path, records).run(code=1), "order", 3, offset_of(records, 3))


def test_file_that_ends_within_a_record(tmp_path: Path):
    records = chain(4)
    records[3] = records[3][:-20]
    document = row(tmp_path, records).run(code=1)
    named(document, "truncated", None, offset_of(records, 3), device=None)
    assert document["series"][0]["records"] == 3


def test_bytes_between_records_hide_none_of_them(tmp_path: Path):
    records = chain(3)
    records.insert(1, b"\x00garbage\xd1")
    document = row(tmp_path, records).run(code=1)
    named(document, "unreadable", None, offset_of(records, 1), device=None)
    assert document["series"][0]["records"] == 3 and len(document["found"]) == 1


def test_record_of_another_device_under_the_same_key(tmp_path: Path):
    records = [*chain(5), seal(fields_of(6, bytes(8), _6="ETST0020000018"), kid=OTHER)]
    document = row(tmp_path, records).run(code=1)
    named(document, "other-device", 6, offset_of(records, 5), device=OTHER.decode())


def test_label_that_is_not_the_sealed_device(tmp_path: Path):
    records = chain(5)
    records[3] = seal(cbor2.loads(cbor2.loads(records[3]).value[2]), KEY, OTHER)
    document = row(tmp_path, records).run(code=1)
    named(document, "label", 4, offset_of(records, 3))
    assert "ETST0020000018" in found(document, "label")["text"]


def test_register_that_fell(tmp_path: Path):
    records = relinked({}, {8: [[IMPORT, 900, 1, 30]]}, {8: [[IMPORT, 8_999, 0, 30]]})
    named(row(tmp_path, records[1:]).run(code=1), "register", 3, len(records[1]))


def test_transaction_without_end(tmp_path: Path):
    second = {3: bytes(16), 4: 1}
    records = relinked({}, {}, second, second | {4: 2})
    document = row(tmp_path, records).run("--running", code=1)
    named(document, "no-end", 2, len(records[0]))


def test_transaction_that_may_run_still(tmp_path: Path):
    named(row(tmp_path, chain(2)).run(code=1), "no-end", 2, len(chain(1)[0]))
    folder = tmp_path / "again"
    folder.mkdir()
    row(folder, chain(2)).run("--running", code=0)


def test_end_of_a_transaction_that_never_began(tmp_path: Path):
    records = relinked({}, {4: 2})
    named(row(tmp_path, records).run(code=1), "no-begin", 2, len(records[0]))


def test_second_end_of_a_transaction(tmp_path: Path):
    records = relinked({}, {}, {}, {3: fields_of(3, b"")[3], 4: 7})
    named(row(tmp_path, records).run(code=1), "event-twice", 4, offset_of(records, 3))


def taf7(due_ms: int) -> dict:
    return {2: 7, 10: due_ms, 3: None, 4: None}


def quarter_hours(*due_ms: int, last: dict | None = None) -> list[bytes]:
    """last: further fields of the last record."""
    records, previous = [], bytes(8)
    for seq, due in enumerate(due_ms, 1):
        more = (last or {}) if seq == len(due_ms) else {}
        every = fields_of(seq, previous) | taf7(due) | more
        fields = {k: v for k, v in every.items() if v is not None}
        records.append(seal(fields))
        previous = hashlib.sha256(records[-1]).digest()[:8]
    return records


def test_quarter_hour_read_twice(tmp_path: Path):
    records = quarter_hours(0, QUARTER_MS, QUARTER_MS)
    named(row(tmp_path, records).run(code=1), "slot-twice", 3, offset_of(records, 2))


@pytest.mark.parametrize("third", [QUARTER_MS // 2, 2 * QUARTER_MS + 1])
def test_quarter_hour_out_of_the_grid(tmp_path: Path, third: int):
    records = quarter_hours(QUARTER_MS, 2 * QUARTER_MS, third)
    named(row(tmp_path, records).run(code=1), "slot-order", 3, offset_of(records, 2))


def test_quarter_hour_behind_a_later_one(tmp_path: Path):
    records = quarter_hours(QUARTER_MS, 3 * QUARTER_MS, 2 * QUARTER_MS)
    named(row(tmp_path, records).run(code=1), "slot-order", 3, offset_of(records, 2))


@pytest.mark.parametrize("last", [{12: 2}, {8: [], 14: QUARTER_MS}])
def test_quarter_hours_again_behind_a_set_clock_and_those_without_reading_are_no_finding(
    tmp_path: Path, last: dict
):
    records = quarter_hours(QUARTER_MS, 2 * QUARTER_MS, QUARTER_MS, last=last)
    row(tmp_path, records).run(code=0)


# gateway records


def gateway_record(pki: Pki, seq: int, at: datetime | None = None, **changed) -> bytes:
    record = {
        "type": "taf7",
        "smgw_id": SMGW,
        "profile_id": "taf7-rod",
        "seq": seq,
        "due_ms": seq * QUARTER_MS,
        "captured_ms": seq * QUARTER_MS + 7,
        "values": [{"obis": "1-0:1.8.0*255", "raw": 100 + seq, "scaler": -1, "unit": 30}],
    }
    content = json.dumps(record | changed, sort_keys=True, separators=(",", ":")).encode()
    sig = pki.smgw.sig
    moment = at or datetime.now(UTC).replace(microsecond=0)
    return sign(content, sig.cert.read_bytes(), sig.key.read_bytes(), moment)


def gateway(tmp_path: Path, pki: Pki, records: list[bytes]) -> Folder:
    made = Folder(tmp_path)
    made.options = ["--pki", str(pki.directory)]
    for number, der in enumerate(records, 1):
        (made.records / f"{number}.cms.der").write_bytes(der)
    return made


def told(document: dict, kind: str, seq: int | None, file: str) -> str:
    one = found(document, kind)
    assert one["seq"] == seq and one["file"].endswith(f"/{file}"), one
    return one["text"]


def test_altered_gateway_record(tmp_path: Path, pki: Pki):
    records = [gateway_record(pki, seq) for seq in (1, 2, 3)]
    records[2] = records[2].replace(b'"raw":103', b'"raw":102')
    document = gateway(tmp_path, pki, records).run(code=1)
    assert "content was altered" in told(document, "altered", None, "3.cms.der")


def test_gateway_record_signed_with_an_expired_certificate(tmp_path: Path, pki: Pki):
    late = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3 * 365)
    records = [gateway_record(pki, 1), gateway_record(pki, 2, late)]
    document = gateway(tmp_path, pki, records).run(code=1)
    assert "had expired" in told(document, "signer", None, "2.cms.der")


def test_gateway_record_of_a_foreign_pki(tmp_path: Path, pki: Pki):
    records = [gateway_record(pki, 1), gateway_record(Pki.init(tmp_path / "foreign"), 2)]
    document = gateway(tmp_path, pki, records).run(code=1)
    assert "not trusted" in told(document, "signer", None, "2.cms.der")


def test_gateway_record_signed_by_another_smgw(tmp_path: Path, pki: Pki):
    records = [gateway_record(pki, 1), gateway_record(pki, 2, smgw_id="ETST0010000002")]
    document = gateway(tmp_path, pki, records).run(code=1)
    assert "was signed by" in told(document, "signer", 2, "2.cms.der")


def test_quarter_hour_signed_twice(tmp_path: Path, pki: Pki):
    records = [gateway_record(pki, 1), gateway_record(pki, 2, due_ms=QUARTER_MS)]
    document = gateway(tmp_path, pki, records).run(code=1)
    told(document, "slot-twice", 2, "2.cms.der")


def test_gateway_transaction_without_end(tmp_path: Path, pki: Pki):
    begin = {"type": "taf16", "event": "begin", "due_ms": None}
    records = [
        gateway_record(pki, seq, uuid=f"00000000-0000-0000-0000-00000000000{seq}", **begin)
        for seq in (1, 2)
    ]
    document = gateway(tmp_path, pki, records).run("--running", code=1)
    told(document, "no-end", 1, "1.cms.der")


def test_gateway_capture_time_that_runs_back(tmp_path: Path, pki: Pki):
    records = [gateway_record(pki, 1), gateway_record(pki, 2, captured_ms=QUARTER_MS)]
    told(gateway(tmp_path, pki, records).run(code=1), "time", 2, "2.cms.der")


# data bases


def store(folder: Path, records: list[tuple[str, int, bytes]]) -> Path:
    path = folder / "emt.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE device_records (cls_id TEXT, seq INTEGER, sealed BLOB)")
        database.execute(
            "CREATE TABLE gateway_records (profile_id TEXT, seq INTEGER, cms BLOB, content BLOB)"
        )
        database.executemany("INSERT INTO device_records VALUES (?, ?, ?)", records)
    database.close()
    return path


def test_store_that_holds_what_the_device_sealed(tmp_path: Path):
    rows = [(DEVICE, seq, sealed) for seq, sealed in enumerate(chain(5), 1)]
    folder = row(tmp_path, chain(3))
    document = folder.run("--db", f"sqlite:///{store(tmp_path, rows)}", code=1)
    assert {one["kind"] for one in document["found"]} == {"repeat"}  # file and store, both
    (folder.records / "all.cbor").write_bytes(b"".join(chain(9)[5:]))
    folder.run("--db", str(tmp_path / "emt.sqlite"), code=0)


def test_rows_that_deny_their_record(tmp_path: Path):
    records = chain(5)
    rows = [(DEVICE, 1, records[0]), (DEVICE, 3, records[1]), (OTHER.decode(), 3, records[2])]
    folder = row(tmp_path, records[3:])
    document = folder.run("--db", str(store(tmp_path, rows)), code=1)
    assert found(document, "name")["seq"] == 2
    assert "device_records" in found(document, "other-device")["file"]


def test_content_beside_a_signature_that_is_not_the_signed_one(tmp_path: Path, pki: Pki):
    folder = row(tmp_path, chain(1))
    path = store(tmp_path, [])
    with sqlite3.connect(path) as database:
        database.execute(
            "INSERT INTO gateway_records VALUES ('taf7-rod', 1, ?, ?)",
            (gateway_record(pki, 1), b"{}"),
        )
    database.close()
    document = folder.run("--db", str(path), "--pki", str(pki.directory), code=1)
    assert "content beside it" in found(document, "altered")["text"]
