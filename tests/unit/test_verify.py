"""What `clsbench verify` finds in sealed device records."""

import hashlib
from pathlib import Path

import cbor2
import pytest
from verify_kit import (
    DEVICE,
    IMPORT,
    KEY,
    OTHER_KEY,
    START_MS,
    Folder,
    chain,
    faulty,
    fields_of,
    only_finding,
    seal,
)

from clsbench.device.records import SealBroken, check_chain, open_record, read_unchecked


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write(chain(5))
    return made


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
    folder.run("--running", code=0)  # 20 ms of record 5 and 20 ms of record 6 explain it
    folder.write([seal(fields_of(6, link, _9=late_ms - 41, _11=[1, 20]))], first=6)
    assert "record 6 of ETST0020000017: captured before record 5" in only_finding(
        folder.run("--running", code=1)
    )


def test_chain_from_a_later_number_on_holds_and_says_where_it_begins(tmp_path: Path):
    folder = Folder(tmp_path)
    folder.write(chain(4, first=4), first=4)
    assert folder.run(code=0)["series"][0] | {} == {
        "kind": "device",
        "name": "ETST0020000017",
        "first": 4,
        "last": 7,
        "records": 4,
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
        (lambda data: data + b"\x00", "at byte 160: not a COSE_Mac0 message"),
        (lambda data: data + data, "record 5 of ETST0020000017: is there 2 times"),
        (lambda data: cbor2.dumps(cbor2.loads(data).value), "not a COSE_Mac0 message"),
        (lambda data: cbor2.dumps(cbor2.CBORTag(18, cbor2.loads(data).value)), "not a COSE_Mac0"),
        (lambda data: cbor2.dumps(cbor2.CBORTag(17, [1, [2], 3, 4])), "not a COSE_Mac0 message"),
        (lambda data: b"\xd1" * 5000, "not a COSE_Mac0 message"),
        (lambda data: bytes(2_000_000), "not a COSE_Mac0 message"),
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
    document = folder.run("--running", code=1)
    assert faulty(document) == ([] if "2 times" in reason else ["000005-taf16.cbor"])
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
