"""Sealed device records as the aEMT reads them, against an independent sealing in the test."""

import hashlib
import hmac

import cbor2
import pytest

from clsbench.emt.seal import open_sealed, read_key, split_sequence
from clsbench.errors import BadInput

KEY = bytes(range(32))
UUID = bytes.fromhex("0190c0de000070008000000000000001")


def sealed(seq: int = 1, key: bytes = KEY, kid: bytes = b"ETST0020000017", **changes) -> bytes:
    payload = cbor2.dumps({1: seq, 2: 16, 3: UUID, 4: 1, 5: "charge", **changes.get("more", {})})
    protected = bytes.fromhex("a10105")
    covered = cbor2.dumps(["MAC0", protected, b"", payload])
    tag = hmac.new(key, covered, hashlib.sha256).digest()
    return cbor2.dumps(cbor2.CBORTag(17, [protected, {4: kid}, payload, tag]))


def test_a_record_opens_to_its_fields_and_its_seal_holds():
    record = open_sealed(sealed(7))
    assert (record.seq, record.event, record.key_id) == (7, "begin", "ETST0020000017")
    assert record.uuid == "0190c0de-0000-7000-8000-000000000001"
    assert record.seal_holds(KEY)
    assert not record.seal_holds(bytes(32))


def test_every_single_changed_bit_is_noticed():
    good = sealed()
    unnoticed = []
    for position in range(len(good) * 8):
        bad = bytearray(good)
        bad[position // 8] ^= 1 << position % 8
        try:
            if open_sealed(bytes(bad)).seal_holds(KEY) and kid_kept(bytes(bad)):
                unnoticed.append(position)
        except BadInput:
            continue
    assert unnoticed == []


def kid_kept(data: bytes) -> bool:
    """The key id is no part of what COSE_Mac0 covers: the reader of it must compare it."""
    return b"ETST0020000017" in data


def test_a_sequence_splits_into_the_bytes_it_was_made_of():
    items = [sealed(number) for number in range(1, 6)]
    assert split_sequence(b"".join(items)) == items
    assert split_sequence(b"") == []


def test_a_sequence_cut_anywhere_is_refused_or_whole_items():
    items = [sealed(1), sealed(2)]
    body = b"".join(items)
    for end in range(1, len(body)):
        if end == len(items[0]):
            continue
        with pytest.raises(BadInput, match="begins no CBOR item"):
            split_sequence(body[:end])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (cbor2.dumps({1: 1}), "no tagged COSE_Mac0"),
        (cbor2.dumps(cbor2.CBORTag(17, [b"", {}, b""])), "no list of four"),
        (cbor2.dumps(cbor2.CBORTag(17, [b"\xa1\x01\x04", {4: b"x"}, b"\xa0", b""])), "HMAC 256"),
        (sealed(0), "sequence number"),
        (sealed(more={3: b"short"}), "not 16 bytes"),
        (b"\xd1", "not CBOR"),
        (b"\x00" * 2000, "at most 1024"),
    ],
)
def test_what_is_no_sealed_record_is_named(data, reason):
    with pytest.raises(BadInput, match=reason):
        open_sealed(data)


def test_key_file_holds_raw_bytes_or_hex_and_nothing_else(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(KEY)
    assert read_key(path) == KEY
    path.write_text(KEY.hex() + "\n")
    assert read_key(path) == KEY
    path.write_text("secret")
    with pytest.raises(BadInput, match="32 raw bytes or 64 hex digits"):
        read_key(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_key(tmp_path / "none")
