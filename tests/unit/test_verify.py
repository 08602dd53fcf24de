"""What `clsbench verify` finds. Records are made here with cbor2, hmac and hashlib alone."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path

import cbor2
import pytest
from click.testing import CliRunner

from clsbench.cli.verify import verify
from clsbench.device.records import SealBroken, check_chain, open_record, read_unchecked
from clsbench.errors import BadInput
from clsbench.pki.layout import Pki
from clsbench.smgw.core.cms import sign

KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))
DEVICE = b"ETST0020000017"
UUID = bytes.fromhex("0190c0de00007000800000000000000a")
IMPORT = bytes.fromhex("0100010800ff")  # 1-0:1.8.0*255
START_MS = 1_777_881_600_000
NOW = datetime.now(UTC).replace(microsecond=0)


def seal(fields: dict, key: bytes = KEY, kid: bytes = DEVICE) -> bytes:
    """COSE_Mac0 with HMAC 256/256, written out after RFC 9052 section 6.2."""
    protected, payload = bytes.fromhex("a10105"), cbor2.dumps(fields, canonical=True)
    covered = cbor2.dumps(["MAC0", protected, b"", payload])
    mac = hmac.new(key, covered, hashlib.sha256).digest()
    return cbor2.dumps(cbor2.CBORTag(17, [protected, {4: kid}, payload, mac]), canonical=True)


def fields_of(seq: int, previous: bytes, **changed) -> dict:
    fields = {
        1: seq,
        2: 16,
        3: UUID,
        4: 1 if seq % 2 else 2,
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
        records.append(seal(fields_of(seq, previous), key, kid))
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


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write(chain(5))
    return made


def only_finding(document: dict) -> str:
    assert len(document["findings"]) == 1, document["findings"]
    return document["findings"][0]


def faulty(document: dict) -> list[str]:
    return [Path(each["file"]).name for each in document["files"] if not each["ok"]]


# device records


def test_untouched_chain_holds(folder: Folder):
    document = folder.run(code=0)
    assert [each["kind"] for each in document["files"]] == ["device"] * 5
    assert [(one["name"], one["first"], one["last"]) for one in document["series"]] == [
        ("ETST0020000017", 1, 5)
    ]


def test_altered_value_is_found_and_named(folder: Folder):
    raw = cbor2.dumps(123_456 + 3)
    folder.change(3, lambda data: data.replace(raw, cbor2.dumps(123_456 + 4)))
    document = folder.run(code=1)
    assert faulty(document) == ["000003-taf16.cbor"]
    broken, gap = document["findings"]
    assert "000003-taf16.cbor: seal of a record of 'ETST0020000017' does not fit" in broken
    assert "it claims to be record 3, TAF16" in broken
    assert "record 4 of ETST0020000017: record 3 is missing before it" in gap


def test_altered_link_is_found_even_where_the_seal_was_made_anew(folder: Folder):
    last = chain(4)[3]
    wrong = bytearray(hashlib.sha256(last).digest()[:8])
    wrong[0] ^= 1
    folder.change(5, lambda _: seal(fields_of(5, bytes(wrong))))
    document = folder.run(code=1)
    assert faulty(document) == []
    assert "record 5 of ETST0020000017: does not link to record 4" in only_finding(document)
    assert "000005-taf16.cbor" in only_finding(document)


def test_first_record_that_links_to_something_before_it_is_found(folder: Folder):
    for path in folder.records.iterdir():
        path.unlink()
    folder.write([seal(fields_of(1, b"12345678"))])
    assert "record 1 of ETST0020000017: links to something before it" in only_finding(
        folder.run(code=1)
    )


def test_gap_is_found(folder: Folder):
    (folder.records / "000002-taf16.cbor").unlink()
    (folder.records / "000003-taf16.cbor").unlink()
    assert "record 4 of ETST0020000017: records 2 to 3 are missing" in only_finding(
        folder.run(code=1)
    )


def test_swapped_files_are_found(folder: Folder):
    two, three = (folder.records / f"00000{n}-taf16.cbor" for n in (2, 3))
    contents = two.read_bytes(), three.read_bytes()
    two.write_bytes(contents[1])
    three.write_bytes(contents[0])
    document = folder.run(code=1)
    assert faulty(document) == ["000002-taf16.cbor", "000003-taf16.cbor"]
    assert "holds record 3, TAF16, which its name denies" in document["findings"][0]


def test_swapped_numbers_are_found_even_where_the_seals_were_made_anew(folder: Folder):
    one = chain(1)[0]
    link = hashlib.sha256(one).digest()[:8]
    folder.change(2, lambda _: seal(fields_of(2, link, _8=[[IMPORT, 123_459, 1, 30]])))
    assert "record 3 of ETST0020000017: does not link to record 2" in only_finding(
        folder.run(code=1)
    )


def test_repeat_of_a_record_under_another_name_is_found(folder: Folder):
    (folder.records / "again.cbor").write_bytes(chain(2)[1])
    finding = only_finding(folder.run(code=1))
    assert "record 2 of ETST0020000017: is there 2 times" in finding
    assert "again.cbor" in finding and "000002-taf16.cbor" in finding


def test_repeat_of_a_number_with_other_content_is_found(folder: Folder):
    link = hashlib.sha256(chain(1)[0]).digest()[:8]
    (folder.records / "other.cbor").write_bytes(seal(fields_of(2, link, _5="other")))
    finding = only_finding(folder.run(code=1))
    assert "record 2 of ETST0020000017: two different records bear this number" in finding
    assert "other.cbor" in finding


def test_same_file_named_twice_is_no_repeat(folder: Folder):
    folder.run(str(folder.records / "000002-taf16.cbor"), code=0)


def test_capture_time_that_runs_back_further_than_both_bounds_is_found(folder: Folder):
    link = hashlib.sha256(chain(5)[4]).digest()[:8]
    late_ms = START_MS + 5000
    folder.write([seal(fields_of(6, link, _9=late_ms - 40, _11=[1, 20]))], first=6)
    folder.run(code=0)  # 20 ms of record 5 and 20 ms of record 6 explain it
    folder.write([seal(fields_of(6, link, _9=late_ms - 41, _11=[1, 20]))], first=6)
    assert "record 6 of ETST0020000017: captured before record 5" in only_finding(
        folder.run(code=1)
    )


def test_chain_from_a_later_number_on_holds_and_says_where_it_begins(tmp_path: Path):
    folder = Folder(tmp_path)
    folder.write(chain(3, first=4), first=4)
    assert folder.run(code=0)["series"][0] | {} == {
        "kind": "device",
        "name": "ETST0020000017",
        "first": 4,
        "last": 6,
        "records": 3,
        "ok": True,
    }


def test_wrong_key_opens_nothing(folder: Folder):
    (folder.path / "key").write_text(OTHER_KEY.hex())
    document = folder.run(code=1)
    assert len(faulty(document)) == 5 and document["series"] == []


def test_two_devices_each_with_its_key_are_two_chains(folder: Folder):
    for number, sealed in enumerate(chain(3, OTHER_KEY, b"ETST0020000018"), 1):
        (folder.records / f"other-{number}.cbor").write_bytes(sealed)
    (folder.path / "other").write_text(OTHER_KEY.hex())
    document = folder.run("--key", str(folder.path / "other"), code=0)
    assert [one["records"] for one in document["series"]] == [5, 3]


def test_relabelled_record_is_found_although_the_label_is_outside_the_seal(folder: Folder):
    folder.change(5, lambda data: data.replace(b"\x4e" + DEVICE, b"\x4eETST0020000018"))
    finding = only_finding(folder.run(code=1))
    assert (
        "record 5: labelled ETST0020000018, yet sealed with the key of ETST0020000017" in finding
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[:-1], "not a COSE_Mac0 message"),
        (lambda data: b"", "not a COSE_Mac0 message"),
        (lambda data: b"not CBOR at all", "not a COSE_Mac0 message"),
        (lambda data: data + b"\x00", "followed by further bytes"),
        (lambda data: data + data, "followed by further bytes"),
        (lambda data: cbor2.dumps(cbor2.loads(data).value), "not a COSE_Mac0 message"),
        (lambda data: cbor2.dumps(cbor2.CBORTag(18, cbor2.loads(data).value)), "not a COSE_Mac0"),
        (lambda data: cbor2.dumps(cbor2.CBORTag(17, [1, [2], 3, 4])), "not a COSE_Mac0 message"),
        (lambda data: b"\xd1" * 5000, "not a COSE_Mac0 message"),
        (lambda data: bytes(2_000_000), "more than any record"),
    ],
    ids=[
        "cut",
        "empty",
        "text",
        "tail",
        "doubled",
        "untagged",
        "signature",
        "list",
        "deep",
        "big",
    ],
)
def test_what_is_no_record_is_a_finding_that_names_the_file(folder: Folder, change, reason):
    folder.change(5, change)
    document = folder.run(code=1)
    assert faulty(document) == ["000005-taf16.cbor"]
    assert reason in only_finding(document)


@pytest.mark.parametrize(
    "changed",
    [
        {"_1": "7"},
        {"_1": True},
        {"_4": 99},
        {"_8": [[b"12", 1, 1, 1]]},
        {"_11": [9, 1]},
        {"_12": None},
        {"_13": "x"},
    ],
)
def test_sealed_content_that_is_no_record_is_refused(changed: dict):
    with pytest.raises(SealBroken, match="sealed content is no record"):
        open_record(seal(fields_of(1, bytes(8), **changed)), KEY)


def test_every_flipped_byte_breaks_the_record_or_changes_its_label():
    sealed = chain(1)[0]
    label = range(sealed.index(DEVICE), sealed.index(DEVICE) + len(DEVICE))
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        if position in label:
            assert open_record(bytes(altered), KEY).device_id != DEVICE.decode()
        else:
            with pytest.raises(SealBroken):
                open_record(bytes(altered), KEY)


def test_reading_without_trust_tells_the_same_as_reading_with_the_key():
    sealed = chain(1)[0]
    assert read_unchecked(sealed) == open_record(sealed, KEY)
    assert check_chain([read_unchecked(each) for each in chain(9)]) == []


# gateway records


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.init(tmp_path_factory.mktemp("pki") / "pki")


def signed(pki: Pki, seq: int, raw: int = 100, smgw: str = "ETST0010000001", role=None) -> bytes:
    record = {
        "type": "taf7",
        "smgw_id": smgw,
        "profile_id": "taf7-rod",
        "seq": seq,
        "values": [{"obis": "1-0:1.8.0*255", "raw": raw + seq, "scaler": -1, "unit": 30}],
    }
    identity = role or pki.smgw.sig
    content = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    return sign(content, identity.cert.read_bytes(), identity.key.read_bytes(), NOW)


@pytest.fixture
def gateway(tmp_path: Path, pki: Pki) -> Folder:
    made = Folder(tmp_path)
    made.options = ["--pki", str(pki.directory)]
    for seq in range(1, 5):
        (made.records / f"taf7-rod-{seq:06d}.cms.der").write_bytes(signed(pki, seq))
    return made


def test_gateway_records_hold_with_the_pki_or_its_trust_file(gateway: Folder, pki: Pki):
    document = gateway.run(code=0)
    assert document["series"][0]["name"] == "ETST0010000001 taf7-rod"
    gateway.options = ["--trust", str(pki.wan_trust)]
    gateway.run(code=0)


def test_altered_gateway_record_is_found_and_named(gateway: Folder):
    path = gateway.records / "taf7-rod-000002.cms.der"
    path.write_bytes(path.read_bytes().replace(b'"raw":102', b'"raw":103'))
    document = gateway.run(code=1)
    assert faulty(document) == ["taf7-rod-000002.cms.der"]
    assert "content was altered" in document["findings"][0]
    assert (
        "record 3 of ETST0010000001, profile taf7-rod: record 2 is missing"
        in (document["findings"][1])
    )


def test_repeated_gateway_numbers_are_found(gateway: Folder, pki: Pki):
    (gateway.records / "again.cms.der").write_bytes(signed(pki, 2))
    assert "profile taf7-rod: is there 2 times" in only_finding(gateway.run(code=1))
    (gateway.records / "again.cms.der").write_bytes(signed(pki, 2, raw=200))
    assert "two different records bear this number" in only_finding(gateway.run(code=1))


def test_gateway_record_under_anothers_name_or_number_is_found(gateway: Folder, pki: Pki):
    path = gateway.records / "taf7-rod-000004.cms.der"
    path.write_bytes(signed(pki, 4, smgw="ETST0010000002"))
    assert "is of ETST0010000002, but was signed by ETST0010000001" in only_finding(
        gateway.run(code=1)
    )
    path.write_bytes(signed(pki, 5))
    assert (
        "holds record 5 of profile taf7-rod, which its name denies"
        in (gateway.run(code=1)["findings"][0])
    )


def test_record_signed_by_another_role_or_another_pki_is_refused(
    gateway: Folder, pki: Pki, tmp_path: Path
):
    path = gateway.records / "taf7-rod-000004.cms.der"
    path.write_bytes(signed(pki, 4, role=pki.gwa.sig))
    assert "whose role is not SMGW" in only_finding(gateway.run(code=1))
    path.write_bytes(signed(Pki.init(tmp_path / "foreign"), 4))
    assert "not trusted" in only_finding(gateway.run(code=1))


# the command


def test_both_kinds_in_one_run(folder: Folder, pki: Pki):
    (folder.records / "one").write_bytes(signed(pki, 1))
    document = folder.run("--pki", str(pki.directory), str(folder.records / "one"), code=0)
    assert sorted({each["kind"] for each in document["files"]}) == ["device", "gateway"]


def test_file_that_is_neither_is_a_finding(folder: Folder):
    (folder.path / "notes.txt").write_text("hello")
    document = folder.run(str(folder.path / "notes.txt"), code=1)
    assert "neither a sealed device record nor a signed gateway record" in only_finding(document)


def test_missing_key_trust_and_records_are_usage_errors(folder: Folder, pki: Pki):
    def fails(*arguments: str) -> str:
        done = CliRunner().invoke(verify, arguments, standalone_mode=False)
        assert isinstance(done.exception, BadInput) and done.exception.exit_code == 2
        return str(done.exception)

    records = str(folder.records)
    assert "--key FILE" in fails(records)
    assert "no-key: cannot be read" in fails(records, "--key", "no-key")
    (folder.path / "empty").mkdir()
    assert "holds no record" in fails(str(folder.path / "empty"))
    (folder.records / "x.cms.der").write_bytes(signed(pki, 1))
    assert "--pki DIR" in fails(records, *folder.options)
    assert "wan-trust.pem: no such file" in fails(records, *folder.options, "--pki", records)


def test_shown_to_people_the_fault_stands_beside_the_file(folder: Folder):
    (folder.records / "000002-taf16.cbor").unlink()
    done = CliRunner().invoke(
        verify, [str(folder.records), *folder.options], standalone_mode=False
    )
    assert done.return_value == 1
    assert "ok     " in done.stdout and "FAULT  device ETST0020000017: 4 records" in done.stdout
    assert "4 of 4 files hold; findings: 1" in done.stdout
